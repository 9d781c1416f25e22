"""Sweeps: trials as runs, workers that come, die and leave, in this process."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import ebmcore_sweep
import numpy as np
import optuna
import pytest
import yaml
from ebmcore_sweep import check_sweep, join_sweep
from ebmcore_sweep.local_launcher import Local
from ebmcore_sweep.search.coordinator import Coordinator
from ebmcore_sweep.search.definition import Budget
from ebmcore_sweep.search.tally import give_back, is_surplus, tally
from ebmcore_sweep.storage.store import open_storage
from ebmcore_sweep.storage.study import begin_study

import ebmcore
from ebmcore.errors import EbmError
from support import PARTS, sweeping


def test_trials_are_runs_of_their_values(base):
    choices = ["bowl", {"type": "bowl", "width": 3.0}]
    space = {"optimizer.lr": sweeping.RATES, "energy": {"type": "categorical", "choices": choices}}
    study, url = sweeping.begin(sweeping.write(base, space=space, budget={"trials": 3}))
    said = []
    assert sweeping.work(url, said) == 3
    assert sweeping.work(url) == 0  # nothing is left to do
    found = tally(study)
    assert len(found.complete) == len(found.trials) == 3
    for trial in found.trials:
        facts = sweeping.facts_of(trial)
        record = yaml.safe_load(Path(trial.user_attrs["run_dir"], "config.yaml").read_text())
        assert facts["parent"]["key"] == f"trial-{trial.number}"
        assert record["optimizer"]["lr"] == trial.params["optimizer.lr"]
        assert record["energy"]["width"] == (1.0 if trial.params["energy"] == "bowl" else 3.0)
        assert trial.value == facts["metrics"]["loss/size"]
        assert sorted(trial.intermediate_values) == [4, 8, 12]
        assert f"trial {trial.number}: loss/size {trial.value:.6g}" in said
    assert "EBMCORE_PARENT" not in os.environ


def test_failures_are_counted_and_told_and_stop_nothing(base):
    space = {"loss.type": ["size", "breaks"], "seed": [0, 1]}
    file = sweeping.write(base, space=space, sampler="BruteForceSampler", budget={"trials": 9})
    study, url = sweeping.begin(file)
    sweeping.work(url)
    found = tally(study)  # the sampler has no fifth trial
    assert found.exhausted
    assert (len(found.complete), len(found.failed)) == (2, 2)
    for trial in found.failed:
        assert trial.params["loss.type"] == "breaks"
        assert "broken on purpose" in trial.user_attrs["error"]
        assert sweeping.facts_of(trial)["status"] == "FAILED"


def test_a_value_that_is_missing_or_no_number_is_a_failure(base):
    study, url = sweeping.begin(
        sweeping.write(base, objective={"metric": "los"}, budget={"trials": 1})
    )
    sweeping.work(url)
    (trial,) = tally(study).failed
    assert "no metric 'los' was recorded; there are: loss, loss/size" in trial.user_attrs["error"]


def test_a_trial_is_pruned_by_what_its_run_records(base):
    pruner = {"type": "ThresholdPruner", "upper": 0.0}
    study, url = sweeping.begin(sweeping.write(base, pruner=pruner, budget={"trials": 1}))
    sweeping.work(url)
    (trial,) = tally(study).pruned
    facts = sweeping.facts_of(trial)
    assert (facts["status"], facts["step"], facts["steps"]) == ("KILLED", 4, 12)
    assert facts["ended_early"].startswith("pruned at step 4: loss/size was ")
    assert facts["checkpoint"]["why"] == facts["ended_early"]
    whole = ebmcore.resume(trial.user_attrs["run_dir"], plugins=[str(PARTS)], progress=False)
    assert (whole.status, whole.step, whole.ended_early) == ("FINISHED", 12, "")


def test_the_trial_of_a_dead_worker_resumes_from_its_run(base):
    base["train"]["checkpoint_every"] = "4 steps"
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    sweeping.work(url)
    (trial,) = tally(study).complete
    run_dir = Path(trial.user_attrs["run_dir"])
    # the same study with its only trial cut short, as a dead worker leaves it
    other = f"{url.removesuffix('.db')}-2.db"
    again = begin_study(check_sweep("tune.yaml").sweep, open_storage(other))
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
    sweeping.work(other)
    (resumed,) = tally(again).complete
    assert resumed.user_attrs["run_dir"] == str(run_dir)
    assert resumed.value == trial.value  # bit for bit
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    assert [(e["event"], e["step"]) for e in events] == [("resumed", 4)]
    give_back(again, resumed.number, retries=1)  # it has ended: nothing happens
    assert len(again.trials) == 2


@pytest.mark.slow
def test_the_value_of_a_trial_of_several_seeds_is_their_median(base):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}, seeds=2))
    sweeping.work(url)
    (trial,) = tally(study).complete
    group = ebmcore_sweep.Group.load(trial.user_attrs["run_dir"])
    values = [ebmcore.load(path, plugins=[str(PARTS)]) for path in group.children.values()]
    assert sorted(group.children) == ["seed-3", "seed-4"]
    assert trial.value == pytest.approx(np.median([run.metrics["loss/size"] for run in values]))
    facts = sweeping.facts_of(trial)
    assert (facts["group"], facts["parent"]["key"]) == ("seeds", "trial-0")
    # what a dead worker had finished is what another finds
    taken_away = optuna.create_trial(
        state=optuna.trial.TrialState.RUNNING, params=trial.params,
        distributions=trial.distributions, user_attrs={"run_dir": str(group.dir)},
    )  # fmt: skip
    other = f"{url.removesuffix('.db')}-2.db"
    again = begin_study(check_sweep("tune.yaml").sweep, open_storage(other))
    again.set_user_attr("ebmcore", study.user_attrs["ebmcore"])
    again.add_trial(taken_away)
    give_back(again, 0, retries=1)
    sweeping.work(other)
    (resumed,) = tally(again).complete
    assert (resumed.value, resumed.user_attrs["run_dir"]) == (trial.value, str(group.dir))


def test_a_trial_is_tried_again_so_many_times_at_most(base):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    plain = optuna.load_study(study_name=study.study_name, storage=url)  # gives no signs of life
    for _ in range(3):
        number = plain.ask().number
        assert len(tally(study).trials) == 1
        give_back(study, number, retries=2)
    assert [t.state.name for t in study.trials] == ["FAIL"] * 3
    (lost,) = tally(study).failed
    assert lost.number == 2
    assert tally(study).to_begin(check_sweep("tune.yaml").sweep.budget) == 0


def age(url, statement):
    """Change a study's times, as if hours had passed."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database, database:
        database.execute(statement)


def coordinator_of(study, url):
    return Coordinator(
        study, check_sweep("tune.yaml").sweep, Local(), url=url, workers=1, options=(),
        variables={}, logs=Path(), say=print,
    )  # fmt: skip


def test_a_worker_that_gives_no_sign_of_life_is_taken_for_dead(base):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 2}))
    with pytest.warns(UserWarning, match="Heartbeat"):
        trial = study.ask()  # as another machine's worker begins one, and is heard of no more
    trial.set_user_attr("worker", "joined-1@elsewhere:1")
    study._storage.record_heartbeat(trial._trial_id)
    assert sweeping.work(url) == 1  # it lives, as far as one can tell
    assert [t.state.name for t in tally(study).trials] == ["RUNNING", "COMPLETE"]
    age(url, "UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'")
    assert sweeping.work(url) == 0  # nobody asks for more trials, so nobody looks
    coordinator_of(study, url)._fail_stale()
    assert sweeping.work(url) == 1
    assert len(tally(study).complete) == 2


def test_a_worker_that_died_unnamed_is_found_as_well(base):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 1}))
    with pytest.warns(UserWarning, match="Heartbeat"):
        study.ask()
    coordinator_of(study, url)._fail_stale()
    assert [t.state.name for t in tally(study).trials] == ["RUNNING"]
    age(url, "UPDATE trials SET datetime_start = '2020-01-01 00:00:00'")
    coordinator_of(begin_again(url), url)._fail_stale()
    assert sweeping.work(url) == 1
    assert len(tally(study).complete) == 1


def begin_again(url):
    return begin_study(check_sweep("tune.yaml").sweep, open_storage(url))


def test_a_journal_serves_as_well(base, tmp_path):
    url = f"journal:///{tmp_path}/study.log"
    study, _ = sweeping.begin(sweeping.write(base, storage=url, budget={"trials": 2}))
    assert sweeping.work(url) == 2
    assert len(tally(study).complete) == 2
    with pytest.raises(EbmError, match="there is no such file"):
        join_sweep(f"journal:///{tmp_path}/other.log", say=print)


def test_two_workers_at_the_last_trial_count_it_once(base):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 2}))
    plain = optuna.load_study(study_name=study.study_name, storage=url)
    budget = check_sweep("tune.yaml").sweep.budget
    numbers = [plain.ask().number for _ in range(3)]
    assert [is_surplus(study, number, budget) for number in numbers] == [False, False, True]


def test_minutes_are_those_in_which_a_trial_ran(base):
    study, _ = sweeping.begin(sweeping.write(base))
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


def test_what_can_not_be_joined_says_why(base, tmp_path):
    study, url = sweeping.begin(sweeping.write(base, name="first"))
    with pytest.raises(EbmError, match=r"are code: name them by -p .*parts\.py"):
        join_sweep(url, say=print)
    with pytest.raises(EbmError, match="there is no 'second'; sweeps there: first"):
        join_sweep(url, study="second", say=print)
    with pytest.raises(EbmError, match=r"storage wrong://\*\*\*@host/x: can't be opened: "):
        join_sweep("wrong://me:secret@host/x", say=print)
    changed = check_sweep(sweeping.write(base, name="first", space={"seed": [1, 2]})).sweep
    with pytest.raises(EbmError, match="was begun with another space, and its trials can't"):
        begin_study(changed, study._storage)
    optuna.create_study(study_name="other", storage=url).ask()
    changed = check_sweep(sweeping.write(base, name="other")).sweep
    with pytest.raises(EbmError, match="the study 'other' is no sweep of ebmcore's; choose"):
        begin_study(changed, study._storage)
