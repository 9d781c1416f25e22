"""A run with large checkpoints keeps, names, resumes and reports them as with small ones."""

import resource

import pytest

from ebmcore.checkpoint.writer import AT_ONCE
from ebmcore.errors import RunError
from support.runs import assert_same, cut, facts, go, resume


@pytest.fixture
def config(config):
    """A run whose checkpoints are large: four floats a unit, and their momentum."""
    config["energy"] = {"type": "factory", "width": AT_ONCE // 16}
    config["loss"] = [{"type": "gap"}]
    config["optimizer"] = {"type": "SGD", "lr": 1e-6, "momentum": 0.9}
    config["monitors"] = [{"type": "counts", "every": "1 steps"}]
    config["train"] = {
        "steps": 4,
        "batch_size": 4,
        "log_every": 1,
        "checkpoint_every": "2 steps",
    }
    return config


def test_the_best_each_step_and_resumed_ends_with_the_same_bits(config):
    config["train"] |= {"keep_best": "max counts/looks", "keep_checkpoints": 2}
    whole = go(config)  # the metric grows by one each step
    assert [p.name[-2:] for p in sorted(whole.dir.glob("checkpoints/*"))] == ["03", "04"]
    assert facts(whole.dir)["checkpoint"] == {"step": 4, "why": "the end"}
    assert facts(whole.dir)["best"] == {"metric": "counts/looks", "value": 4.0, "step": 4}
    assert_same(whole.dir, resume(cut(whole, 3), config).dir)


def test_a_full_disk_fails_the_run_at_a_later_step(config):
    config["loss"].append({"type": "limits", "at": 2, "to": 2**20})
    config["train"] |= {"steps": 60}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(RunError, match=r"step-00000004: .* large; step-00000002 is") as raised:
            go(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    run = raised.value.run
    assert 4 <= run.step < 60
    assert facts(run.dir)["status"] == "FAILED"
    assert facts(run.dir)["checkpoint"]["step"] == 2
    assert [path.name for path in run.dir.glob("checkpoints/*")] == ["step-00000002"]
