"""train.max_gap: chains that don't follow the energy are a divergence, which a rollback undoes."""

import json

import pytest
import torch

from ebmcore import RunError
from support.runs import assert_same, cut, go, lines, resume, tensors


@pytest.fixture
def config(config):
    """Chains that hardly move, and a learning rate that raises E where they stand.

    The gap doubles with each fetch: 1.5, 3.2, 6.4, 15 and, at step 10, 31 nats.
    """
    config["sampler"] = {"type": "walk", "step_size": 1e-5}
    config["optimizer"] = {"type": "SGD", "lr": 0.2}
    config["monitors"] = []
    config["train"] = {"steps": 14, "batch_size": 20, "log_every": 2, "checkpoint_every": "2 steps"}
    config["train"] |= {"keep_checkpoints": 1, "max_gap": 20.0}
    return config


def events(run):
    return [json.loads(line) for line in (run.dir / "events.jsonl").read_text().splitlines()]


def test_a_gap_beyond_the_bound_stops_the_run(config):
    match = (
        r"step 10: mean E\(data\) - mean E\(samples\) is -30\..* nats; train.max_gap is 20\. .*"
        r"sampler.n_steps.*last good: .*step-00000006$"
    )
    with pytest.raises(RunError, match=match) as caught:
        go(config)
    assert caught.value.run.status == "FAILED"
    assert sorted(path.name[-2:] for path in caught.value.run.dir.glob("checkpoints/*")) == [
        "06",  # whose gap was at most half of the bound
        "08",
    ]


def test_a_bound_that_is_not_reached_changes_nothing(config):
    config["train"] |= {"steps": 4, "checkpoint_every": "end"}
    assert_same(go(config, train__max_gap=1e9).dir, go(config, train__max_gap=None).dir)


def test_rollback_goes_before_the_turning(config):
    config["train"] |= {"on_divergence": "rollback", "rollback_lr": 0.1, "keep_checkpoints": 99}
    run = go(config)
    assert (run.status, run.step) == ("FINISHED", 14)
    first = events(run)[0]
    assert (first["event"], first["step"], first["to"]) == ("rollback", 10, 6)
    assert any("train.max_gap is 20; rolled back to step 6" in text for text in run.warnings)
    before, after = (tensors(run.dir, step) for step in (6, 10))
    restored = [name for name in before if name.startswith(("weights/", "ema/", "chains/"))]
    assert [name for name in restored if not torch.equal(before[name], after[name])] == []
    gaps = [abs(line["train/energy_gap"]) for line in lines(run.dir) if "train/energy_gap" in line]
    assert max(gaps) <= 20
    # resumed with a gap of 15, the run still knows which checkpoint was well
    again = resume(cut(run, 8), config)
    assert_same(again.dir, run.dir)


def test_skip_looks_at_the_gap(config):
    skipping = {"train.on_divergence": "skip", "train.max_skips": 3}
    with pytest.raises(RunError, match=r"train.max_gap is 20; 3 steps in a row were skipped"):
        go(config, **skipping)
