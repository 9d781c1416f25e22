"""`ebmcore sweep` as a command: its workers are processes, some of which are killed."""

import json
import os
import re
import signal
from pathlib import Path

import optuna
import pytest
import yaml
from ebmcore_sweep.search.tally import tally

import ebmcore
from support import PARTS, sweeping


@pytest.fixture
def command(forks):
    commands = sweeping.Commands(forks)
    yield commands.start
    commands.close()


HELD = """
import os
import signal
import time
from pathlib import Path

from ebmcore import loss

@loss
def held(energy, x, step):
    # as long as there is a file `hold`, no trial comes further, unless it is asked to end
    interrupts = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    while step >= 40 and Path("hold").exists() and interrupts.number is None:
        Path(f"held-{os.getpid()}").touch()
        time.sleep(0.02)
    return energy(x).mean()
"""


def study_of(tmp_path, name="tune"):
    # its run is begun after it
    sweeping.wait(lambda: list((tmp_path / "runs").glob(f"{name}-*/run.json")))
    file = tmp_path / "runs" / f"{name}.sweep.db"
    return optuna.load_study(study_name=name, storage=f"sqlite:///{file}")


def pid_of(trial):
    return int(trial.user_attrs["worker"].rpartition(":")[2])


def held(study):
    """The trials that have come as far as any does."""
    running = [t for t in study.trials if t.state.name == "RUNNING" and "worker" in t.user_attrs]
    return [t for t in running if Path(f"held-{pid_of(t)}").exists()]


@pytest.fixture
def held_base(base, tmp_path):
    """Trials that wait at their 40th step of 60, for what the test does to them."""
    (tmp_path / "held.py").write_text(HELD)
    (tmp_path / "hold").touch()
    base["plugins"]["files"].append(str(tmp_path / "held.py"))
    base["loss"] = [{"type": "size"}, {"type": "held", "weight": 0.0}]
    base["train"] = {
        "steps": 60, "batch_size": 20, "log_every": 10, "checkpoint_every": "30 steps",
    }  # fmt: skip
    return base


@pytest.mark.slow
def test_six_trials_outlive_a_killed_worker_and_take_help(held_base, command, store, tmp_path):
    held_base["tracking"] = {"checkpoints": "none"}
    file = sweeping.write(held_base, budget={"trials": 6}, workers=2)
    coordinator = command(file, "--json")
    study = study_of(tmp_path)
    victim = sweeping.wait(lambda: held(study))[0]
    os.kill(pid_of(victim), signal.SIGKILL)
    url = f"sqlite:///{tmp_path}/runs/tune.sweep.db"
    joined = command("--join", url, "-p", PARTS, "-p", "held.py", "--json")
    sweeping.wait(lambda: any("joined-" in t.user_attrs["worker"] for t in held(study)))
    (tmp_path / "hold").unlink()
    code, swept, error = sweeping.ends(coordinator)
    assert code == 0, error
    assert (swept["complete"], swept["failed"], swept["pruned"]) == (6, 0, 0)
    assert f"died with exit code -9 at trial {victim.number}" in error
    code, helped, error = sweeping.ends(joined)
    assert (code, helped["trials"] >= 1) == (0, True), error

    complete = tally(study).complete
    workers = {trial.user_attrs["worker"].partition("@")[0] for trial in complete}
    assert any(name.startswith("joined-") for name in workers)
    (again,) = (t for t in complete if t.system_attrs.get("failed_trial") == victim.number)
    assert again.user_attrs["run_dir"] == victim.user_attrs["run_dir"]
    assert again.params == victim.params

    # one parent with its children, here and in MLflow
    parent = Path(swept["run_dir"])
    facts = json.loads((parent / "run.json").read_text())
    assert facts["status"] == "FINISHED"
    assert [c["status"] for c in facts["children"]] == ["FINISHED"] * 6
    assert facts["metrics"]["sweep/best"] == swept["best"]["value"]
    (experiment,) = store.search_experiments(filter_string="name = 'tune'")
    runs = store.search_runs([experiment.experiment_id], max_results=100)
    (mother,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert len(runs) == 7
    assert {run.info.status for run in runs} == {"FINISHED"}
    children = {r.data.tags.get("mlflow.parentRunId") for r in runs if r is not mother}
    assert children == {mother.info.run_id}
    assert mother.info.run_name == parent.name
    named = [r.info.run_name for r in runs if r is not mother]
    assert all(re.fullmatch(r"lr=[\d.e-]+ · tune-trial-\d", name) for name in named), named
    pictures = {f.path for f in store.list_artifacts(mother.info.run_id, "figures")}
    assert {Path(p).name for p in pictures} == {"optimization_history", "parameter_importance"}

    # what it leaves
    summary = (parent / "summary.md").read_text()
    assert summary.count("| COMPLETE |") == 6
    assert "6 complete, 0 pruned, 0 failed; best loss/size" in summary
    assert mother.data.tags["mlflow.note.content"] == summary
    assert {"best.yaml", "summary.md"} < {f.path for f in store.list_artifacts(mother.info.run_id)}
    best = yaml.safe_load((parent / "best.yaml").read_text())
    assert best["seed"] == held_base["seed"]
    best["tracking"] = "off"
    assert ebmcore.run(best, progress=False).metrics["loss/size"] == swept["best"]["value"]


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_by_the_same_command(held_base, command, tmp_path):
    file = sweeping.write(held_base, budget={"trials": 3}, workers=2)
    first = command(file, "--json")
    study = study_of(tmp_path)
    sweeping.wait(lambda: len(held(study)) == 2)
    first.send_signal(signal.SIGTERM)
    code, swept, error = sweeping.ends(first)
    assert (code, swept["status"]) == (143, "KILLED"), error
    parent = Path(swept["run_dir"])
    assert json.loads((parent / "run.json").read_text())["status"] == "KILLED"
    states = [trial.state.name for trial in tally(study).trials]
    assert "RUNNING" not in states
    assert states == ["WAITING"] * 2
    assert (parent / "summary.md").is_file()

    (tmp_path / "hold").unlink()
    code, swept, error = sweeping.ends(command(file, "--json", "--workers", "1"))
    assert (code, swept["complete"], swept["failed"]) == (0, 3, 0), error
    assert Path(swept["run_dir"]) == parent
    assert json.loads((parent / "run.json").read_text())["status"] == "FINISHED"
    runs = [p for p in (tmp_path / "runs").iterdir() if (p / "run.json").is_file()]
    assert len(runs) == 4  # the parent and three trials, none of them begun twice
