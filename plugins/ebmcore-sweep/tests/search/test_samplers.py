"""Samplers and pruners that find odd state in the study: a worker goes on, or says so in a line."""

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from ebmcore_sweep import check_sweep
from ebmcore_sweep.storage.guarded import StorageError
from ebmcore_sweep.storage.store import file_of

from ebmcore.errors import ConfigError, EbmError
from support import sweeping
from support.sweeping.changed_storage import changed, odd
from support.timeouts import within

pytestmark = pytest.mark.filterwarnings("ignore")

SPACE = {
    "optimizer.lr": sweeping.RATES,
    "seed": {"type": "int", "low": 0, "high": 3},
    "energy.width": {"type": "float", "low": 1.0, "high": 2.0, "step": 0.5},
}
GRID = {"optimizer.lr": [0.01, 0.02], "seed": [0, 1, 2], "energy.width": [1.0, 2.0]}
SAMPLERS = [
    {"type": "TPESampler", "multivariate": True, "n_startup_trials": 1},
    {"type": "NSGAIISampler", "population_size": 2},
    {"type": "GridSampler", "search_space": GRID},
    {"type": "QMCSampler", "seed": 1},
    {"type": "GPSampler", "n_startup_trials": 1},
    {"type": "CmaEsSampler"},
]


def spoil(url, rng):
    """Change all that samplers and pruners keep in a study."""
    with closing(sqlite3.connect(file_of(url))) as database, database:
        count = 0
        for table in ("trial_system_attributes", "study_system_attributes"):
            for number, text in database.execute(
                f"SELECT rowid, value_json FROM {table}"
            ).fetchall():
                found = json.loads(text)
                value = odd(rng) if rng.random() < 0.5 else changed(found, rng)
                database.execute(
                    f"UPDATE {table} SET value_json = ? WHERE rowid = ?",
                    (json.dumps(value), number),
                )
                count += 1
    return count


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler["type"])
def test_odd_state_of_a_sampler(base, sampler, tmp_path):
    if sampler["type"] == "CmaEsSampler":
        pytest.importorskip("cmaes")
    pruner = {"type": "SuccessiveHalvingPruner", "min_resource": 4}
    keys = {"space": SPACE, "sampler": sampler, "pruner": pruner}
    _, url = sweeping.begin(sweeping.write(base, **keys, budget={"trials": 3}))
    assert sweeping.work(url) == 3
    sweeping.write(base, **keys, budget={"trials": 5})
    sweeping.begin(Path("tune.yaml").absolute())
    whole = file_of(url).read_bytes()
    changes = 0
    for seed in range(4):
        file_of(url).write_bytes(whole)
        changes += spoil(url, random.Random(seed))
        said = []
        with within(100):
            try:
                sweeping.work(url, said)
            except EbmError as error:
                said.append(str(error))
        assert not any("Traceback" in text for text in said), seed
        assert all(len(text.splitlines()) == 1 for text in said), seed
    assert changes
    assert not (tmp_path / "owned").exists()


def test_a_sequence_is_not_counted_up_to_any_number(base):
    keys = {"space": SPACE, "sampler": {"type": "QMCSampler", "seed": 1}}
    study, url = sweeping.begin(sweeping.write(base, **keys, budget={"trials": 2}))
    sweeping.work(url)
    attributes = study._storage.get_study_system_attrs(study._study_id)
    (key,) = [name for name in attributes if name.startswith("qmc:")]
    study._storage.set_study_system_attr(study._study_id, key, 10**15)
    sweeping.write(base, **keys, budget={"trials": 3})
    sweeping.begin(Path("tune.yaml").absolute())
    with within(60), pytest.raises(StorageError, match="sequence is at 1000000000000001"):
        sweeping.work(url)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sampler": {"type": "GridSampler", "search_space": {k: [*range(2000)] for k in "abc"}}},
         "sampler.search_space: should have at most 1000000 points"),
        ({"sampler": "BruteForceSampler",
          "space": {"seed": {"type": "int", "low": 0, "high": 10**12}}},
         "sampler: tries all values, and seed has more than 1000000"),
        ({"pruner": {"type": "SuccessiveHalvingPruner", "reduction_factor": 10**9}},
         "pruner.reduction_factor: should be at most 1000000; got 1000000000"),
        ({"sampler": {"type": "TPESampler", "n_ei_candidates": 10**12}},
         "sampler.n_ei_candidates: should be at most 1000000"),
        ({"seeds": 10**9}, "seeds: should be less than or equal to 1000; got"),
        ({"patience": 10**12}, "patience: should be less than or equal to 10000000; got"),
    ],
)  # fmt: skip
def test_numbers_that_keep_optuna_busy_for_ever_are_refused(base, keys, message):
    with within(60), pytest.raises(ConfigError, match=message):
        check_sweep(sweeping.write(base, **keys))


def test_a_queued_trial_outside_the_space_fails_alone(base):
    study, url = sweeping.begin(sweeping.write(base, budget={"trials": 2}))
    study.enqueue_trial({"optimizer.lr": 1e9})
    said = []
    assert sweeping.work(url, said) == 2
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE"]
    assert "trial 0 failed: optimizer.lr is '1000000000.0', which is not in the space" in said


@pytest.mark.parametrize(
    "odd",
    [
        {"params": {"optimizer.lr": 0.5}, "distributions": {
            "optimizer.lr": optuna.distributions.FloatDistribution(0.1, 1.0, log=True)}},
        {"params": {"x": 1}, "distributions": {"x": optuna.distributions.IntDistribution(0, 9)}},
        {"user_attrs": {"run_dir": 3}},
        {"system_attrs": {"retry_history": [7]}},
    ],
)  # fmt: skip
def test_a_trial_of_another_kind_is_refused(base, odd):
    _, url = sweeping.begin(sweeping.write(base))
    optuna.load_study(study_name="tune", storage=url).add_trial(
        optuna.create_trial(value=1.0, **odd)
    )
    with pytest.raises(StorageError, match="trial 0 of 'tune' is none of this sweep's: its"):
        sweeping.work(url)
