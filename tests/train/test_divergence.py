"""Numbers that go wrong: named, and the run stops, skips the step or rolls back, as it was told."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

import ebmcore
from ebmcore import RunError
from support import HARD, SKIPS
from support.runs import go


@pytest.fixture
def config(config):
    config["plugins"]["files"] += [str(HARD), str(SKIPS)]
    config["monitors"] = [{"type": "parts:looks", "every": "10 steps"}]
    config["train"] = {
        "steps": 40,
        "batch_size": 20,
        "ema": 0.5,
        "log_every": 5,
        "checkpoint_every": "5 steps",
    }
    return config


def fails(config, match, **overrides):
    with pytest.raises(RunError, match=match) as caught:
        go(config, **overrides)
    return caught.value.run


def events(run):
    return [json.loads(line) for line in (run.dir / "events.jsonl").read_text().splitlines()]


def written(run):
    return [json.loads(line) for line in (run.dir / "metrics.jsonl").read_text().splitlines()]


def at(*steps, what="nan"):
    """Return the gap, and a loss that turns to `what` at these steps, counted from 0."""
    return [{"type": "gap"}, {"type": "turns", "at": list(steps), "what": what}]


@pytest.mark.parametrize("what", ["nan", "inf"])
def test_stop_names_step_part_last_value_and_checkpoint(config, what):
    run = fails(
        config,
        rf"step 18: loss/turns of loss 'hard_parts:turns' .* is {what}; 0 a step before\. .*"
        r"last good: .*checkpoints/step-00000015$",
        loss=at(17, what=what),
    )
    assert run.status == "FAILED"
    assert max(path.name for path in run.dir.glob("checkpoints/*")) == "step-00000015"
    loaded = ebmcore.load(run.dir, plugins=config["plugins"]["files"])
    assert loaded.step == 15
    assert all(math.isfinite(v) for line in written(run) for v in line.values())


def test_an_immediate_stop_has_the_interval_before(config):
    found = fails(config, r"step 16: .* a step before", loss=at(15))
    assert found.step == 20  # it was seen when the interval's metrics were fetched


def test_a_gradient_that_is_no_number_is_named(config):
    loss = {"type": "gradient_overflows", "at": 11}
    fails(config, r"step 12: train/grad_norm of the gradient of the losses is", loss=loss)


def test_samples_that_are_no_numbers_are_named(config):
    fails(config, r"step 1: samples of sampler 'hard_parts:poisoned'", sampler="poisoned")


def test_energies_beyond_a_bound_are_a_divergence(config):
    config["sampler"]["step_size"] = 1e-4
    wild = {"type": "parts:bowl", "width": 30.0}
    match = r"step 5: an energy of (data|samples), by energy 'parts:bowl' .* train.max_energy is 50"
    fails(config, match, energy=wild, **{"train.max_energy": 50.0})
    assert go(config, energy=wild, **{"train.max_energy": 1e9}).status == "FINISHED"


@pytest.mark.parametrize("policy", ["stop", "skip", "rollback"])
def test_a_policy_that_is_not_needed_changes_nothing(config, policy):
    plain, other = go(config), go(config, **{"train.on_divergence": policy})
    one, two = (
        load_file(run.dir / "checkpoints" / "step-00000040" / "weights.safetensors")
        for run in (plain, other)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_skip_counts_records_and_goes_on(config):
    run = go(config, loss=at(7, 8, 22), **{"train.on_divergence": "skip"})
    assert (run.status, run.step) == ("FINISHED", 40)
    assert [(e["event"], e["step"], e["in_a_row"]) for e in events(run)] == [
        ("skipped", 8, 1),
        ("skipped", 9, 2),
        ("skipped", 23, 1),
    ]
    assert "loss/turns of loss 'hard_parts:turns'" in events(run)[0]["why"]
    assert run.metrics["train/skipped"] == 3
    assert run.warnings == ["3 steps were skipped: see events.jsonl"]
    assert json.loads((run.dir / "run.json").read_text())["skipped"] == 3
    assert all(math.isfinite(v) for line in written(run) for v in line.values())
    steps = [line["step"] for line in written(run) if "loss" in line]
    assert steps == list(range(5, 45, 5))


def test_a_skipped_step_moves_no_weight_no_average_and_no_chain(config):
    config["train"] |= {"steps": 8, "checkpoint_every": "1 steps", "keep_checkpoints": 99}
    run = go(config, loss=at(5), **{"train.on_divergence": "skip"})
    for name in ("weights", "ema", "chains"):
        five, six, seven = (
            load_file(run.dir / "checkpoints" / f"step-0000000{step}" / f"{name}.safetensors")
            for step in (5, 6, 7)
        )
        assert all(torch.equal(five[key], six[key]) for key in five)
        assert not all(torch.equal(six[key], seven[key]) for key in six)


def test_an_interval_that_was_skipped_whole_has_no_loss(config):
    skipping = {"train.on_divergence": "skip"}
    run = go(config, loss=at(10, 11, 12, 13, 14), **skipping)
    (line,) = [line for line in written(run) if line["step"] == 15]
    assert "loss" not in line
    assert line["train/skipped"] == 5


def test_skip_stops_after_so_many_in_a_row(config):
    run = fails(
        config,
        r"step 13: .* is nan; .*; 4 steps in a row were skipped \(train.max_skips\)",
        loss=at(9, 10, 11, 12, 13),
        **{"train.on_divergence": "skip", "train.max_skips": 4},
    )
    assert len(events(run)) == 4


def test_skip_looks_at_energies_too(config):
    wild = {"type": "parts:bowl", "width": 30.0}
    fails(
        config,
        r"step 2: an energy of .* train.max_energy is 50; 2 steps in a row",
        energy=wild,
        **{"train.on_divergence": "skip", "train.max_energy": 50.0, "train.max_skips": 2},
    )


def test_skip_stops_at_max_skips_when_updates_pass_the_bound(config):
    config["train"] |= {"log_every": 1, "on_divergence": "skip", "max_energy": 50.0}
    config["train"] |= {"max_skips": 7, "steps": 40}
    run = fails(
        config,
        r"an energy of (data|samples), .* train.max_energy is 50; 7 steps in a row were skipped",
        loss=[{"type": "gap", "weight": 0}, {"type": "grows"}],
        data="ones",
        optimizer={"type": "SGD", "lr": 1.0},
        sampler="adapts",
    )
    found = events(run)
    assert [event["in_a_row"] for event in found[-7:]] == [1, 2, 3, 4, 5, 6, 7]
    assert found[-7]["step"] > 4  # some were applied, and each was looked at again at once
    assert json.loads((run.dir / "run.json").read_text())["skipped"] == len(found)


@pytest.mark.parametrize("log_every", [1, 3])
def test_skip_leaves_out_batches_beyond_the_bound(config, log_every):
    config["train"] |= {"on_divergence": "skip", "max_energy": 50.0, "max_skips": 30}
    config["train"] |= {"batch_size": 1, "steps": 120, "log_every": log_every}
    run = go(config, data="some_far", loss=[{"type": "gap", "weight": 0.0}, {"type": "grows"}],
             optimizer={"type": "SGD", "lr": 0.01}, sampler="adapts")  # fmt: skip
    found = events(run)
    assert (run.status, run.step) == ("FINISHED", 120)
    assert 10 < len(found) < 60
    assert len({event["step"] for event in found}) == len(found)
    in_a_row = 0
    for before, event in zip([{"step": -1}, *found], found, strict=False):
        in_a_row = in_a_row + 1 if event["step"] == before["step"] + 1 else 1
        assert event["in_a_row"] == in_a_row
    assert run.metrics["train/skipped"] == len(found)


def test_without_a_bound_skip_stops_at_energies_not_finite(config):
    config["train"] |= {"log_every": 4, "on_divergence": "skip", "max_skips": 6}
    run = fails(
        config,
        r"the energy of data, by energy 'skip_parts:steep' .* is inf; 6 steps in a row",
        energy="steep",
        loss=[{"type": "only_samples"}, {"type": "grows"}],
        optimizer={"type": "SGD", "lr": 1.0},
        sampler="adapts",
    )
    assert [event["in_a_row"] for event in events(run)] == [1, 2, 3, 4, 5, 6]


def test_rollback_returns_to_the_last_good_checkpoint(config):
    rolling = {"train.on_divergence": "rollback", "train.rollback_lr": 0.5}
    config["train"] |= {"keep_checkpoints": 99, "log_every": 4}
    config["networks"] = {"shift": "shifts"}
    run = go(config, loss=[*at(17), {"type": "follows"}], **rolling)
    assert (run.status, run.step) == ("FINISHED", 40)
    (event,) = events(run)
    assert (event["event"], event["step"], event["to"], event["number"]) == ("rollback", 20, 15, 1)
    assert event["lr"] == 0.025
    assert run.metrics["train/lr"] == 0.025
    (warning,) = (text for text in run.warnings if "rolled back" in text)
    assert "step 18: loss/turns" in warning
    assert "rolled back to step 15 (1 of at most 3), learning rate 0.025" in warning
    assert all(math.isfinite(v) for line in written(run) for v in line.values())
    # at step 20 the weights and chains are those of step 15
    for name in ("weights", "ema", "network-shift", "network-shift-ema", "chains"):
        then, now = (
            load_file(run.dir / "checkpoints" / f"step-000000{step}" / f"{name}.safetensors")
            for step in (15, 20)
        )
        assert all(torch.equal(then[key], now[key]) for key in then)
    steps = [line["step"] for line in written(run)]
    assert steps == sorted(steps)
    points = [(line["step"], key) for line in written(run) for key in line if "/" in key]
    assert len(points) == len(set(points))


def test_the_noise_after_a_rollback_is_fresh(config):
    rolling = {"train.on_divergence": "rollback"}
    config["train"] |= {"keep_checkpoints": 99, "log_every": 1, "checkpoint_every": "10 steps"}
    run = go(config, loss=at(10), **rolling)
    plain = go(config)
    ten, after, twin = (
        load_file(r.dir / "checkpoints" / f"step-000000{s}" / "chains.safetensors")["x"]
        for r, s in ((run, 10), (run, 20), (plain, 20))
    )
    same = load_file(plain.dir / "checkpoints" / "step-00000010" / "chains.safetensors")["x"]
    assert torch.equal(ten, same)  # up to there it was the same run
    assert not torch.equal(after, twin)


def test_a_schedule_goes_on_from_the_lower_rate(config):
    schedule = {"type": "LinearLR", "start_factor": 1.0, "end_factor": 0.2, "total_iters": 40,
                "interval": "step"}  # fmt: skip
    rolling = {"train.on_divergence": "rollback", "train.rollback_lr": 0.1}
    whole = go(config, lr_scheduler=schedule)
    rolled = go(config, lr_scheduler=schedule, loss=at(17), **rolling)
    assert rolled.metrics["train/lr"] == pytest.approx(0.1 * whole.metrics["train/lr"])


def test_rollback_gives_up_after_so_many(config):
    config["train"] |= {"on_divergence": "rollback", "max_rollbacks": 2}
    run = fails(config, r"after 2 rollbacks \(train.max_rollbacks\)", loss=at(*range(16, 40)))
    assert [event["number"] for event in events(run)] == [1, 2]


def test_rollback_before_any_checkpoint_returns_to_the_start(config):
    config["train"] |= {"on_divergence": "rollback", "checkpoint_every": "end"}
    run = go(config, loss=at(3))
    assert [event["to"] for event in events(run)] == [0]
    assert run.status == "FINISHED"


def test_a_run_that_rolled_back_resumes_exactly(config):
    import shutil

    config["train"] |= {"on_divergence": "rollback", "rollback_lr": 0.5, "keep_checkpoints": 99}
    whole = go(config, loss=at(17))
    part = whole.dir.with_name("part")
    shutil.copytree(whole.dir, part)
    for step in (30, 35, 40):
        shutil.rmtree(part / "checkpoints" / f"step-000000{step}")
    facts = json.loads((part / "run.json").read_text())
    (part / "run.json").write_text(json.dumps({**facts, "status": "RUNNING"}))
    resumed = ebmcore.resume(part, plugins=config["plugins"]["files"], progress=False)
    one, two = (
        load_file(run.dir / "checkpoints" / "step-00000040" / "weights.safetensors")
        for run in (whole, resumed)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert resumed.warnings == whole.warnings
