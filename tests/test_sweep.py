"""Sweeps: trials as runs, workers that come, die and leave, and what is left in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml

import ebmcore
from ebmcore.errors import EbmError
from ebmcore.local import Local
from ebmcore.sweep import check_sweep, join_sweep
from ebmcore.sweep.coordinator import Coordinator
from ebmcore.sweep.definition import Budget
from ebmcore.sweep.store import begin_study, open_storage, remember
from ebmcore.sweep.tally import is_surplus, tally
from ebmcore.sweep.worker import give_back
from ebmcore.tracking import Parent

PARTS = Path(__file__).with_name("parts.py")
PATIENCE = 150.0  # seconds after which what was waited for won't come
RATES = {"type": "float", "low": 1e-3, "high": 0.1, "log": True}


@pytest.fixture
def write(config, tmp_path):
    """Write a sweep's file beside its base; return its path."""

    def put(base=None, **keys):
        (tmp_path / "base.yaml").write_text(yaml.safe_dump(base or config))
        given = {
            "base": "base.yaml",
            "space": {"optimizer.lr": RATES},
            "objective": {"metric": "loss/size", "direction": "minimize"},
            "sampler": {"type": "RandomSampler", "seed": 0},
            "budget": {"trials": 4},
            "patience": 300,
        }
        file = tmp_path / "tune.yaml"
        file.write_text(yaml.safe_dump({**given, **keys}, sort_keys=False))
        return file

    return put


@pytest.fixture
def base(config):
    """A base of a few steps without samples, whose objective is the size of its weights."""
    config["loss"] = {"type": "size"}
    config["train"] = {"steps": 12, "batch_size": 20, "log_every": 4}
    return config | {"sampler": None, "chains": None, "monitors": []}


@pytest.fixture
def begin(tmp_path):
    """Begin a sweep as its command does, but start no worker; return its study and its url."""
    parents = []

    def start(file):
        checked = check_sweep(file)
        sweep = checked.sweep
        url = sweep.keys.storage or f"sqlite:///{tmp_path}/study.db"
        study = begin_study(sweep, open_storage(url, patience=sweep.keys.patience, retries=1))
        parent = Parent.begin("sweep", checked.prepared.config.record, tracking=None)
        parents.append(parent)
        facts = {"run_dir": str(parent.path), "token": None}
        remember(study, sweep, files=sweep.files, runs_dir=str(tmp_path / "runs"), parent=facts)
        return study, url

    yield start
    for parent in parents:
        parent.__exit__(None, None, None)


def facts_of(trial):
    return json.loads(Path(trial.user_attrs["run_dir"], "run.json").read_text())


def work(url, said=None):
    return join_sweep(url, [str(PARTS)], say=(said if said is not None else []).append)


def test_trials_are_runs_of_their_values(write, base, begin):
    choices = ["bowl", {"type": "bowl", "width": 3.0}]
    space = {"optimizer.lr": RATES, "energy": {"type": "categorical", "choices": choices}}
    study, url = begin(write(base, space=space, budget={"trials": 3}))
    said = []
    assert work(url, said) == 3
    assert work(url) == 0  # nothing is left to do
    found = tally(study)
    assert len(found.complete) == len(found.trials) == 3
    for trial in found.trials:
        facts = facts_of(trial)
        record = yaml.safe_load(Path(trial.user_attrs["run_dir"], "config.yaml").read_text())
        assert facts["parent"]["key"] == f"trial-{trial.number}"
        assert record["optimizer"]["lr"] == trial.params["optimizer.lr"]
        assert record["energy"]["width"] == (1.0 if trial.params["energy"] == "bowl" else 3.0)
        assert trial.value == facts["metrics"]["loss/size"]
        assert sorted(trial.intermediate_values) == [4, 8, 12]
        assert f"trial {trial.number}: loss/size {trial.value:.6g}" in said
    assert "EBMCORE_PARENT" not in os.environ


def test_failures_are_counted_and_told_and_stop_nothing(write, base, begin):
    study, url = begin(write(base, space={"loss.type": ["size", "breaks"], "seed": [0, 1]},
                             sampler="BruteForceSampler", budget={"trials": 9}))  # fmt: skip
    work(url)
    found = tally(study)  # the sampler has no fifth trial
    assert found.exhausted
    assert (len(found.complete), len(found.failed)) == (2, 2)
    for trial in found.failed:
        assert trial.params["loss.type"] == "breaks"
        assert "broken on purpose" in trial.user_attrs["error"]
        assert facts_of(trial)["status"] == "FAILED"


def test_a_value_that_is_missing_or_no_number_is_a_failure(write, base, begin):
    study, url = begin(write(base, objective={"metric": "los"}, budget={"trials": 1}))
    work(url)
    (trial,) = tally(study).failed
    assert "no metric 'los' was recorded; there are: loss, loss/size" in trial.user_attrs["error"]


def test_a_trial_is_pruned_by_what_its_run_records(write, base, begin):
    pruner = {"type": "ThresholdPruner", "upper": 0.0}
    study, url = begin(write(base, pruner=pruner, budget={"trials": 1}))
    work(url)
    (trial,) = tally(study).pruned
    facts = facts_of(trial)
    assert (facts["status"], facts["step"], facts["steps"]) == ("KILLED", 4, 12)
    assert facts["ended_early"].startswith("pruned at step 4: loss/size was ")
    assert facts["checkpoint"]["why"] == facts["ended_early"]
    whole = ebmcore.resume(trial.user_attrs["run_dir"], plugins=[str(PARTS)], progress=False)
    assert (whole.status, whole.step, whole.ended_early) == ("FINISHED", 12, "")


def test_a_trial_whose_worker_died_is_gone_on_with_where_its_run_is(write, base, begin):
    base["train"]["checkpoint_every"] = "4 steps"
    study, url = begin(write(base, budget={"trials": 1}))
    work(url)
    (trial,) = tally(study).complete
    run_dir = Path(trial.user_attrs["run_dir"])
    # the same study with its only trial cut short, as a dead worker leaves it
    other = f"{url.removesuffix('.db')}-2.db"
    again = begin_study(check_sweep("tune.yaml").sweep, open_storage(other, patience=1, retries=1))
    again.set_user_attr("ebmcore", study.user_attrs["ebmcore"])
    again.add_trial(
        optuna.create_trial(
            state=optuna.trial.TrialState.RUNNING, params=trial.params,
            distributions=trial.distributions, user_attrs={"run_dir": str(run_dir)},
        )
    )  # fmt: skip
    for step in ("00000008", "00000012"):
        for file in sorted((run_dir / "checkpoints").glob(f"step-{step}/*")):
            file.unlink()
        (run_dir / "checkpoints" / f"step-{step}").rmdir()
    facts = json.loads((run_dir / "run.json").read_text())
    (run_dir / "run.json").write_text(json.dumps({**facts, "status": "RUNNING"}))
    give_back(again, 0, retries=1)
    assert [t.state.name for t in again.trials] == ["FAIL", "WAITING"]
    work(other)
    (resumed,) = tally(again).complete
    assert resumed.user_attrs["run_dir"] == str(run_dir)
    assert resumed.value == trial.value  # bit for bit
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    assert [(e["event"], e["step"]) for e in events] == [("resumed", 4)]
    give_back(again, resumed.number, retries=1)  # it has ended: nothing happens
    assert len(again.trials) == 2


@pytest.mark.slow
def test_the_value_of_a_trial_of_several_seeds_is_their_median(write, base, begin):
    study, url = begin(write(base, budget={"trials": 1}, seeds=2))
    work(url)
    (trial,) = tally(study).complete
    group = ebmcore.Group.load(trial.user_attrs["run_dir"])
    values = [ebmcore.load(path, plugins=[str(PARTS)]) for path in group.children.values()]
    assert sorted(group.children) == ["seed-3", "seed-4"]
    assert trial.value == pytest.approx(np.median([run.metrics["loss/size"] for run in values]))
    facts = facts_of(trial)
    assert (facts["group"], facts["parent"]["key"]) == ("seeds", "trial-0")
    # what a dead worker had finished is what another finds
    taken_away = optuna.create_trial(
        state=optuna.trial.TrialState.RUNNING, params=trial.params,
        distributions=trial.distributions, user_attrs={"run_dir": str(group.dir)},
    )  # fmt: skip
    other = f"{url.removesuffix('.db')}-2.db"
    again = begin_study(check_sweep("tune.yaml").sweep, open_storage(other, patience=1, retries=1))
    again.set_user_attr("ebmcore", study.user_attrs["ebmcore"])
    again.add_trial(taken_away)
    give_back(again, 0, retries=1)
    work(other)
    (resumed,) = tally(again).complete
    assert (resumed.value, resumed.user_attrs["run_dir"]) == (trial.value, str(group.dir))


def test_a_trial_is_tried_again_so_many_times_at_most(write, base, begin):
    study, url = begin(write(base, budget={"trials": 1}))
    plain = optuna.load_study(study_name=study.study_name, storage=url)  # gives no signs of life
    for _ in range(3):
        number = plain.ask().number
        assert len(tally(study).trials) == 1
        give_back(study, number, retries=2)
    assert [t.state.name for t in study.trials] == ["FAIL"] * 3
    (lost,) = tally(study).failed
    assert lost.number == 2
    assert tally(study).to_begin(check_sweep("tune.yaml").sweep.budget) == 0


def test_a_worker_that_gives_no_sign_of_life_is_taken_for_dead(write, base, begin):
    study, url = begin(write(base, budget={"trials": 2}, patience=1))
    elsewhere = study.ask  # as another machine's worker begins a trial, and is heard of no more
    with pytest.warns(UserWarning, match="Heartbeat"):
        trial = elsewhere()
    study._storage.record_heartbeat(trial._trial_id)
    assert work(url) == 1  # it lives, as far as one can tell
    assert [t.state.name for t in tally(study).trials] == ["RUNNING", "COMPLETE"]
    wait(lambda: study._storage._get_stale_trial_ids(study._study_id) or time.sleep(0.3))
    assert work(url) == 0  # nobody asks for more trials, so nobody looks
    coordinator = Coordinator(
        study, check_sweep("tune.yaml").sweep, Local(), url=url, workers=1, options=(),
        logs=Path(), say=print,
    )  # fmt: skip
    coordinator._fail_stale()
    assert work(url) == 1
    assert len(tally(study).complete) == 2


def test_a_journal_serves_as_well(write, base, begin, tmp_path):
    url = f"journal:///{tmp_path}/study.log"
    study, _ = begin(write(base, storage=url, budget={"trials": 2}))
    assert work(url) == 2
    assert len(tally(study).complete) == 2
    with pytest.raises(EbmError, match="there is no such file"):
        join_sweep(f"journal:///{tmp_path}/other.log", say=print)


def test_two_workers_that_begin_the_last_trial_at_once_count_one(write, base, begin):
    study, url = begin(write(base, budget={"trials": 2}))
    plain = optuna.load_study(study_name=study.study_name, storage=url)
    budget = check_sweep("tune.yaml").sweep.budget
    numbers = [plain.ask().number for _ in range(3)]
    assert [is_surplus(study, number, budget) for number in numbers] == [False, False, True]


def test_minutes_are_those_in_which_a_trial_ran(write, base, begin):
    study, _ = begin(write(base))
    day = datetime(2026, 1, 2)
    for first, last in ((0, 10), (5, 12), (100, 103), (101, 102)):
        study.add_trial(optuna.trial.FrozenTrial(
            number=0, state=optuna.trial.TrialState.COMPLETE, value=0.0, params={},
            distributions={}, user_attrs={}, system_attrs={}, intermediate_values={}, trial_id=0,
            datetime_start=day + timedelta(minutes=first),
            datetime_complete=day + timedelta(minutes=last),
        ))  # fmt: skip
    found = tally(study)
    assert found.minutes == pytest.approx(15.0)
    assert found.to_begin(Budget(minutes=15.0)) == 0
    assert found.to_begin(Budget(minutes=15.1)) > 0
    assert found.to_begin(Budget(minutes=15.1, trials=5)) == 1


def test_what_can_not_be_joined_says_why(write, base, begin, tmp_path):
    study, url = begin(write(base, name="first"))
    with pytest.raises(EbmError, match=r"are code: name them by -p .*parts\.py"):
        join_sweep(url, say=print)
    with pytest.raises(EbmError, match="there is no 'second'; sweeps there: first"):
        join_sweep(url, study="second", say=print)
    with pytest.raises(EbmError, match=r"storage wrong://\*\*\*@host/x: can't be opened: "):
        join_sweep("wrong://me:secret@host/x", say=print)
    changed = check_sweep(write(base, name="first", space={"seed": [1, 2]})).sweep
    with pytest.raises(EbmError, match="was begun with another space, and its trials can't"):
        begin_study(changed, study._storage)
    optuna.create_study(study_name="other", storage=url).ask()
    changed = check_sweep(write(base, name="other")).sweep
    with pytest.raises(EbmError, match="the study 'other' is no sweep of ebmcore's; choose"):
        begin_study(changed, study._storage)


# from here on with processes


@pytest.fixture
def command():
    """Start `ebmcore sweep`, and see to it that nothing of it outlives the test."""
    begun = []

    def start(*arguments):
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        line = [sys.executable, "-m", "ebmcore", "sweep", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        begun.append(subprocess.Popen(line, text=True, env=variables, **pipes))
        return begun[-1]

    yield start
    for process in begun:
        if process.poll() is None:
            process.terminate()
            try:
                process.communicate(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def ends(process):
    out, error = process.communicate(timeout=PATIENCE)
    return process.returncode, json.loads(out), error


def wait(ready):
    end = time.monotonic() + PATIENCE
    while not (found := ready()):
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.05)
    return found


def study_of(tmp_path, name="tune"):
    wait(lambda: list((tmp_path / "runs").glob(f"{name}-*/run.json")))  # begun after the study
    file = tmp_path / "runs" / f"{name}.sweep.db"
    return optuna.load_study(study_name=name, storage=f"sqlite:///{file}")


def at_work(study, *, past=0):
    """The trials that are under way and whose runs have written something."""
    ended = sum(t.state.is_finished() for t in study.trials)
    running = [t for t in study.trials if t.state.name == "RUNNING" and "run_dir" in t.user_attrs]
    begun = [t for t in running if Path(t.user_attrs["run_dir"], "metrics.jsonl").is_file()]
    return begun if ended >= past else []


@pytest.fixture
def slow_base(base):
    """Trials that take a second and a half, most of it asleep, so that there is time to kill."""
    base["loss"] = [{"type": "size"}, {"type": "dawdles", "weight": 0.0}]
    base["train"] = {
        "steps": 130,
        "batch_size": 20,
        "log_every": 10,
        "checkpoint_every": "30 steps",
    }
    return base


@pytest.mark.slow
def test_twelve_trials_outlive_a_killed_worker_and_take_help(
    write, slow_base, command, store, tmp_path
):
    slow_base["tracking"] = {}
    file = write(slow_base, budget={"trials": 12}, workers=2)
    coordinator = command(file, "--json")
    study = study_of(tmp_path)
    victim = wait(lambda: at_work(study))[0]
    url = f"sqlite:///{tmp_path}/runs/tune.sweep.db"
    joined = command("--join", url, "-p", PARTS, "--json")
    os.kill(int(victim.user_attrs["worker"].rpartition(":")[2]), signal.SIGKILL)
    code, swept, error = ends(coordinator)
    assert code == 0, error
    assert (swept["complete"], swept["failed"], swept["pruned"]) == (12, 0, 0)
    assert f"died with exit code -9 at trial {victim.number}" in error
    code, helped, error = ends(joined)
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
    assert [c["status"] for c in facts["children"]] == ["FINISHED"] * 12
    assert facts["metrics"]["sweep/best"] == swept["best"]["value"]
    (experiment,) = store.search_experiments(filter_string="name = 'tune'")
    runs = store.search_runs([experiment.experiment_id], max_results=100)
    (mother,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert len(runs) == 13
    assert {run.info.status for run in runs} == {"FINISHED"}
    children = {r.data.tags.get("mlflow.parentRunId") for r in runs if r is not mother}
    assert children == {mother.info.run_id}
    assert mother.info.run_name == parent.name
    pictures = {f.path for f in store.list_artifacts(mother.info.run_id, "figures")}
    assert {Path(p).name for p in pictures} == {"optimization_history", "parameter_importance"}

    # what it leaves
    summary = (parent / "summary.md").read_text()
    assert summary.count("| COMPLETE |") == 12
    assert "12 complete, 0 pruned, 0 failed; best loss/size" in summary
    best = yaml.safe_load((parent / "best.yaml").read_text())
    assert best["seed"] == slow_base["seed"]
    best["tracking"] = "off"
    assert ebmcore.run(best, progress=False).metrics["loss/size"] == swept["best"]["value"]


@pytest.mark.slow
def test_a_sweep_that_was_interrupted_goes_on_by_the_same_command(
    write, slow_base, command, tmp_path
):
    file = write(slow_base, budget={"trials": 3}, workers=2)
    first = command(file, "--json")
    study = study_of(tmp_path)
    wait(lambda: at_work(study))
    first.send_signal(signal.SIGTERM)
    code, swept, error = ends(first)
    assert (code, swept["status"]) == (143, "KILLED"), error
    parent = Path(swept["run_dir"])
    assert json.loads((parent / "run.json").read_text())["status"] == "KILLED"
    states = [trial.state.name for trial in tally(study).trials]
    assert "RUNNING" not in states
    assert "WAITING" in states
    assert (parent / "summary.md").is_file()

    code, swept, error = ends(command(file, "--json", "--workers", "1"))
    assert (code, swept["complete"], swept["failed"]) == (0, 3, 0), error
    assert Path(swept["run_dir"]) == parent
    assert json.loads((parent / "run.json").read_text())["status"] == "FINISHED"
    runs = [p for p in (tmp_path / "runs").iterdir() if (p / "run.json").is_file()]
    assert len(runs) == 4  # the parent and three trials, none of them begun twice
