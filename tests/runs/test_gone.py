"""The directory of a run that goes on is removed or moved: it FAILED, and nothing is remade."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

import ebmcore
from ebmcore.errors import DirectoryError
from ebmcore.runs.directory import RunDirectory

GONE = "was moved or removed while it was being written"
TAKES = """
import os, shutil
from pathlib import Path
from ebmcore import loss
@loss
def takes(energy, x, step, *, at: int = 4, how: str = 'remove'):
    if step == at:
        (folder,) = Path('runs').iterdir()
        if how == 'remove':
            shutil.rmtree(folder)
        elif how == 'move':
            folder.rename('elsewhere')
        elif how == 'replace':
            folder.rename('elsewhere')
            shutil.copytree('elsewhere', folder)
            shutil.copytree(folder, 'copy')
        elif how == 'all':
            shutil.rmtree('runs')
        elif how == 'empty':
            for file in folder.iterdir():
                shutil.rmtree(file) if file.is_dir() else file.unlink()
        else:
            (folder / how).unlink()
    return energy(x).mean()
"""
SPARSE = {"steps": 9, "batch_size": 20, "log_every": 100, "checkpoint_every": "end"}
OFTEN = {"steps": 9, "batch_size": 20, "log_every": 1, "checkpoint_every": "2 steps"}


@pytest.fixture
def taken(config, tmp_path):
    """A config of a run whose directory is taken away at its fifth step."""
    (tmp_path / "takes.py").write_text(TAKES)
    config["plugins"]["files"].append(str(tmp_path / "takes.py"))
    config["monitors"] = [{"type": "parts:looks", "every": "end"}]

    def make(how, train):
        config["loss"] = {"type": "takes", "how": how}
        config["train"] = dict(train)
        return config

    return make


def bodies(folder):
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("train", [SPARSE, OFTEN], ids=["seldom written", "often written"])
@pytest.mark.parametrize("how", ["remove", "all", "move", "replace"])
def test_a_run_without_its_directory_fails_and_makes_none(taken, tmp_path, how, train):
    with pytest.raises(ebmcore.RunError, match=GONE) as failed:
        ebmcore.run(taken(how, train), progress=False)
    assert failed.value.run.status == "FAILED"
    assert str(failed.value).count("\n") == 0
    there = [*tmp_path.glob("runs/*")]
    if how == "replace":  # another directory of that name is nobody's business
        assert json.loads((there[0] / "run.json").read_text())["status"] == "RUNNING"
        assert bodies(there[0]) == bodies(Path("copy"))
    else:
        assert there == []
    if how in ("move", "replace"):
        facts = json.loads(Path("elsewhere", "run.json").read_text())
        assert facts["status"] == "FAILED"
        assert GONE in facts["error"]
        assert GONE in Path("elsewhere", "log.txt").read_text()


@pytest.mark.parametrize("train", [SPARSE, OFTEN], ids=["seldom written", "often written"])
@pytest.mark.parametrize("how", ["empty", "run.json"])
def test_a_run_whose_files_are_taken_away_fails(taken, tmp_path, how, train):
    with pytest.raises(ebmcore.RunError, match=r"was removed while (the run went on|it grew)"):
        ebmcore.run(taken(how, train), progress=False)
    (folder,) = tmp_path.glob("runs/*")
    assert not (folder / "run.json").exists()


def test_metrics_that_are_taken_away_are_missed(taken, tmp_path):
    with pytest.raises(ebmcore.RunError, match=r"metrics\.jsonl: was removed while it grew"):
        ebmcore.run(taken("metrics.jsonl", OFTEN), progress=False)
    (folder,) = tmp_path.glob("runs/*")
    assert json.loads((folder / "run.json").read_text())["status"] == "FAILED"


@pytest.mark.slow
def test_rm_rf_of_a_run_is_one_line_and_exit_code_1(config, begin_command, tmp_path):
    config["loss"] = {"type": "parts:dawdles"}
    config["train"] = {"steps": 100_000, "batch_size": 20, "log_every": 5}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    process = begin_command("run", "c.yaml")
    while not list(tmp_path.glob("runs/*/metrics.jsonl")):
        assert process.poll() is None
        time.sleep(0.005)
    while list(tmp_path.glob("runs/*")):  # rm may meet a file that is just being written
        subprocess.run(["rm", "-rf", *tmp_path.glob("runs/*")], check=False)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "Traceback" not in said
    told = [line for line in said.splitlines() if "FAILED" in line]
    assert len(told) == 1
    assert GONE in told[0] or "was removed while" in told[0], said
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.slow
def test_mlflow_hears_that_it_failed(taken, store, tmp_path):
    config = taken("remove", SPARSE)
    config["tracking"] = {"experiment": "gone", "checkpoints": "none"}
    with pytest.raises(ebmcore.RunError, match=GONE):
        ebmcore.run(config, progress=False)
    (experiment,) = [e for e in store.search_experiments() if e.name == "gone"]
    (run,) = store.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


def test_a_relative_directory_survives_a_change_of_folder(tmp_path, monkeypatch):
    directory = RunDirectory.create("run", "runs")
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    directory.update(status="RUNNING")
    directory.append_metrics(1, 0.1, {"loss": 1.0})
    shutil.move(tmp_path / "runs", tmp_path / "other")
    with pytest.raises(DirectoryError, match=GONE):
        directory.append_metrics(2, 0.2, {"loss": 1.0})
    directory.follow()
    directory.update(status="FAILED")
    (folder,) = tmp_path.glob("other/*")
    assert json.loads((folder / "run.json").read_text())["status"] == "FAILED"
    directory.lock.release()
