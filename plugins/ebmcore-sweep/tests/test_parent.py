"""Parents and children: what each says of the other, here and in MLflow, however either ends."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ebmcore_sweep.parent import Parent
from ebmcore_sweep.seeds.api import _children_doubt
from matplotlib.figure import Figure
from typer.testing import CliRunner

import ebmcore
from ebmcore.cli.main import app
from ebmcore.config import Tracking
from ebmcore.errors import EbmError
from ebmcore.runner import prepare
from ebmcore.runs import RunDirectory
from ebmcore.runs.status import read_account
from ebmcore.trackers import MLflow, tracked_run


def runs(*arguments):
    """Call `ebmcore runs`; return the exit code, the document, and what a person is shown."""
    asked = ["runs", *map(str, arguments)]
    document = CliRunner().invoke(app, [*asked, "--json"])
    return document.exit_code, json.loads(document.stdout), CliRunner().invoke(app, asked).output


@pytest.fixture
def child(config, monkeypatch):
    """Run the config as a child of a parent."""

    def run(parent, key, **overrides):
        with monkeypatch.context() as patch:
            for name, value in parent.environment(key).items():
                patch.setenv(name, value)
            return ebmcore.run(config, overrides, progress=False)

    return run


def new_child(parent, store):
    """Make a child in MLflow, as the first call of its tracker does."""
    told = {"name": parent.path.name, "run_dir": str(parent.path), "key": "seed-9"}
    directory = RunDirectory.create("bare")
    told["token"] = parent.environment("seed-9")["EBMCORE_PARENT_RUN"]
    directory.update(status="RUNNING", name="bare", parent=told)
    tracker = MLflow()
    tracker.begin(tracked_run(directory, directory.read(), config={}))
    tracker.open()
    directory.lock.release()
    shutil.rmtree(directory.path)
    return store.get_run(tracker.remote.run_id)


def test_a_parent_and_its_children_tell_of_each_other(config, child):
    with Parent.begin("seeds", config, tracking=None, seeds=[3, 4]) as parent:
        first = child(parent, "seed-3")
        second = child(parent, "seed-4", seed=4)
        assert runs("list")[1][-1]["status"] == "RUNNING"
        parent.write(5, {"loss": 1.5})
        figure = Figure()
        parent.draw("loss", figure)
    lone = ebmcore.run(config, progress=False)

    facts = json.loads((parent.path / "run.json").read_text())
    assert (facts["status"], facts["group"], facts["seeds"]) == ("FINISHED", "seeds", [3, 4])
    assert facts["metrics"] == {"loss": 1.5}
    assert [c["key"] for c in facts["children"]] == ["seed-3", "seed-4"]
    assert {c["status"] for c in facts["children"]} == {"FINISHED"}
    assert (parent.path / "figures/loss/loss.png").stat().st_size > 0

    code, listed, shown = runs("list")
    assert code == 0
    by_name = {Path(run["run_dir"]).name: run for run in listed}
    assert by_name[parent.path.name]["children"] == {"FINISHED": 2}
    assert by_name[first.dir.name]["parent"] == {"name": parent.path.name, "key": "seed-3"}
    assert by_name[lone.dir.name]["parent"] is None
    assert by_name[lone.dir.name]["children"] is None
    assert "2 children: 2 FINISHED" in shown
    assert f"child of {parent.path.name}" in shown
    code, found, shown = runs("show", parent.path)
    assert (code, found["children"]) == (0, {"FINISHED": 2})
    assert second.dir.name in shown
    assert parent.path.name in runs("show", second.dir)[2]
    with pytest.raises(EbmError, match="has no energy of its own; open one of its children"):
        ebmcore.load(parent.path)


def test_how_a_parent_ends_is_what_ended_it(config):
    ended = {}
    for error in (None, KeyboardInterrupt(), EbmError("the disk is full")):
        parent = Parent.begin("seeds", config, tracking=None)
        with contextlib.suppress(KeyboardInterrupt, EbmError), parent:
            if error is not None:
                raise error
        facts = json.loads((parent.path / "run.json").read_text())
        ended[facts["status"]] = facts["error"]
    assert ended == {"FINISHED": None, "KILLED": None, "FAILED": "the disk is full"}


def test_a_parent_that_was_killed_is_taken_up_again(config, child, tmp_path):
    begin = (
        "import json, os, sys; from ebmcore_sweep.parent import Parent; "
        "p = Parent.begin('seeds', json.loads(sys.argv[1]), tracking=None, seeds=[3]); "
        "p.write(1, {'loss': 0.5}); print(p.path); sys.stdout.flush(); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", begin, json.dumps(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -9
    path = Path(done.stdout.strip())
    assert read_account(path).status == "KILLED"
    assert runs("sync", path)[1][0]["outcome"] == "skipped"  # its tracking is off
    assert json.loads((path / "run.json").read_text())["status"] == "KILLED"
    with Parent.resume(path, None) as parent:
        assert parent.children() == {}
        child(parent, "seed-3")
        with pytest.raises(EbmError, match="is writing this run"):
            Parent.resume(path, None)
        parent.write(2, {"loss": 0.25})
    assert [line["step"] for line in lines(path)] == [2]  # what was written before is cut away
    assert json.loads((path / "run.json").read_text())["status"] == "FINISHED"
    with pytest.raises(EbmError, match="is a run of its own"):
        Parent.resume(next(iter(parent.children().values())).path, None)


def lines(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_a_parents_trackers_are_its_childrens(config, tmp_path):
    """A resumed group begins no child with a tracker that only its directory names."""
    plugin = tmp_path / "silent.py"
    plugin.write_text(
        "import ebmcore\n@ebmcore.tracker\nclass silent(ebmcore.Tracker):\n"
        "    def open(self):\n        return True\n"
    )
    config["plugins"]["files"].append(str(plugin))
    config["tracking"] = "silent"
    found = prepare(config).config
    with Parent.begin("seeds", config, tracking=found.tracking) as parent:
        assert parent.followed == ("silent",)
        assert _children_doubt(parent, found) is None
    facts = json.loads((parent.path / "run.json").read_text())
    assert facts["trackers"]["silent"]["state"] == "complete"
    facts["trackers"]["silent"]["seal"] = "somebody else's"
    (parent.path / "run.json").write_text(json.dumps(facts))
    with Parent.resume(parent.path, found.tracking) as parent:
        assert parent.followed == ()
        assert "only the directory names silent" in _children_doubt(parent, found)
    (warning,) = parent.warnings
    assert warning.startswith("nothing is sent to silent: silent is named by the directory alone")


@pytest.mark.slow
def test_mlflow_nests_children_under_their_parent(config, child, store, empty_store, tmp_path):
    config["tracking"] = {"checkpoints": "none"}
    with Parent.begin("seeds", config, tracking=Tracking(), params={"seeds": "3,4"}) as parent:
        parent.wait_until_shown()
        first = new_child(parent, store)  # which sends nothing but its name
        assert first.data.tags["mlflow.parentRunId"] == parent.mlflow_target.run_id
        store.delete_run(first.info.run_id)
        children = [child(parent, f"seed-{seed}", seed=seed) for seed in (3, 4)]
        parent.write(10, {"loss": 0.5, "loss.low": 0.25, "loss.high": 0.75})
    (experiment,) = store.search_experiments(filter_string="name = 'bare'")
    found = {run.info.run_name: run for run in store.search_runs([experiment.experiment_id])}
    assert len(found) == 3
    mother = found[parent.path.name]
    assert mother.info.status == "FINISHED"
    assert mother.data.metrics == {"loss": 0.5}
    assert mother.data.params["seeds"] == "3,4"
    for seed in (3, 4):
        shown = found[f"seed-{seed} · bare"]
        assert shown.data.tags["mlflow.parentRunId"] == mother.info.run_id
        assert shown.data.tags["ebmcore.seed"] == str(seed)

    # the same elsewhere, where both are sent afterwards, whichever is named first
    shutil.copyfile(empty_store, tmp_path / "other.db")
    uri = f"sqlite:///{tmp_path}/other.db"
    code, synced, _ = runs("sync", children[0].dir, parent.path, "--uri", uri)
    assert code == 0
    from mlflow import MlflowClient

    other = MlflowClient(uri)
    copies = {s["path"]: other.get_run(s["run_id"]) for s in synced}
    copy = copies[str(parent.path)]
    assert copies[str(children[0].dir)].data.tags["mlflow.parentRunId"] == copy.info.run_id
    assert copy.info.run_id != mother.info.run_id


@pytest.mark.slow
def test_a_hanging_server_delays_no_family_and_sync_nests_it(config, child, store):
    with socket.create_server(
        ("127.0.0.1", 0), backlog=64
    ) as opened:  # it takes calls, and no more
        uri = f"http://127.0.0.1:{opened.getsockname()[1]}"
        config["tracking"] = {"uri": uri, "checkpoints": "none"}
        began = time.monotonic()
        with Parent.begin("seeds", config, tracking=Tracking(uri=uri)) as parent:
            run = child(parent, "seed-3")
        assert time.monotonic() - began < 45
    assert run.status == "FINISHED"
    assert (read_account(parent.path).status, read_account(parent.path).mlflow) == (
        "FINISHED",
        "behind",
    )
    store_uri = f"sqlite:///{os.getcwd()}/mlflow.db"
    code, synced, _ = runs("sync", "--uri", store_uri)
    assert code == 0
    ids = {Path(s["path"]): s["run_id"] for s in synced}
    tags = store.get_run(ids[run.dir]).data.tags
    assert tags["mlflow.parentRunId"] == ids[parent.path]
