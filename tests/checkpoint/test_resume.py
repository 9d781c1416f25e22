"""Runs that were stopped go on as if they never had been: same weights, chains and metrics."""

import json
import signal

import pytest
import torch

import ebmcore
from ebmcore import EbmError, RunError, RunInterrupted
from support import OPTIM
from support.runs import assert_same, change, cut, go, lines, resume

WARM = {"type": "LinearLR", "start_factor": 0.1, "total_iters": 3}


@pytest.fixture
def interrupt(config):
    """Stop a run by a signal at a step, and return its directory."""

    def stop(at, number=signal.SIGTERM, **overrides):
        losses = [*config["loss"], {"type": "signals", "at": at, "number": int(number)}]
        with pytest.raises(RunInterrupted) as caught:
            go(config, loss=losses, **overrides)
        return caught.value.run

    return stop


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory):
    """Train the config of these tests, when the first of them asks, and stop it at no step."""
    runs = []

    def whole(config):
        if not runs:
            losses = {"loss": [*config["loss"], {"type": "signals", "at": -1}]}
            folder = tmp_path_factory.mktemp("unstopped")
            runs.append(ebmcore.run(config, losses, runs_dir=folder, progress=False))
        return runs[0]

    return whole


@pytest.mark.parametrize("at", [0, 9, 10, 24, 65, 128])
def test_a_run_that_was_stopped_ends_as_if_it_never_had_been(config, interrupt, unstopped, at):
    whole = unstopped(config)
    stopped = interrupt(at)
    assert (stopped.status, stopped.step) == ("KILLED", at + 1)
    # the part that stops it must be there, but not stop it again
    config_file = stopped.dir / "config.yaml"
    config_file.write_text(config_file.read_text().replace(f"at: {at},", "at: -1,"))
    resumed = resume(stopped.dir, config)
    assert (resumed.status, resumed.step) == ("FINISHED", 130)
    assert resumed.dir == stopped.dir
    assert_same(whole.dir, resumed.dir)
    assert resumed.metrics.keys() == whole.metrics.keys()
    event = json.loads((resumed.dir / "events.jsonl").read_text())
    assert (event["event"], event["step"]) == ("resumed", at + 1)


@pytest.mark.parametrize(
    "schedule",
    [
        {"type": "StepLR", "step_size": 2},
        {"type": "CosineAnnealingLR", "T_max": 130, "interval": "step"},
        {"type": "OneCycleLR", "max_lr": 0.1, "total_steps": 131, "interval": "step"},
        {"type": "CyclicLR", "base_lr": 0.01, "max_lr": 0.1, "interval": "step"},
        {"type": "ReduceLROnPlateau", "metric": "loss", "factor": 0.5, "patience": 0},
        {"type": "ReduceLROnPlateau", "metric": "looks/mean", "mode": "max", "patience": 0},
        {
            "type": "SequentialLR",
            "milestones": [3],
            "schedulers": [WARM, "Halves"],
            "interval": "step",
        },
    ],
    ids=lambda schedule: f"{schedule['type']}-{schedule.get('metric', '').partition('/')[0]}",
)
def test_schedules_go_on(config, schedule):
    """The optimizer is one of a user's own, with a state."""
    config["plugins"]["files"].append(str(OPTIM))
    config["optimizer"] = {"type": "Heavy", "lr": 0.02, "momentum": 0.8}
    config["train"]["steps"] = 40
    config["monitors"][0]["every"] = "5 steps"
    whole = go(config, lr_scheduler=schedule)
    assert len({line["train/lr"] for line in lines(whole.dir) if "train/lr" in line}) > 1
    part = cut(whole, 22)
    assert_same(whole.dir, resume(part, config).dir)


def test_a_stream_that_a_part_was_made_with_goes_on(config):
    config["train"]["steps"] = 24
    config["loss"].append({"type": "holds_stream"})
    whole = go(config)
    assert_same(whole.dir, resume(cut(whole, 11), config).dir)


def test_a_run_with_no_checkpoint_begins_again(config):
    config["train"]["steps"] = 15
    whole = go(config)
    part = cut(whole, 0)
    assert_same(whole.dir, resume(part, config).dir)


def test_a_finished_run_is_only_shown(config):
    config["train"]["steps"] = 12
    run = go(config)
    before = (run.dir / "run.json").read_text()
    again = resume(run.dir, config)
    assert (again.status, again.step, again.metrics) == ("FINISHED", 12, run.metrics)
    assert (run.dir / "run.json").read_text() == before
    (run.dir / ".lock").unlink()
    (run.dir / ".lock").mkdir()  # as where nothing can be written
    assert resume(run.dir, config).status == "FINISHED"


def test_a_run_that_failed_goes_on_once_its_part_is_mended(config):
    losses = [*config["loss"], {"type": "parts:breaks", "at": 30}]
    whole = go(config, loss=[*config["loss"], {"type": "parts:breaks", "at": -1}])
    with pytest.raises(RunError) as caught:
        go(config, loss=losses)
    failed = caught.value.run.dir
    config_file = failed / "config.yaml"
    config_file.write_text(config_file.read_text().replace("at: 30,", "at: -1,"))
    assert_same(whole.dir, resume(failed, config).dir)


def test_a_failure_before_the_first_checkpoint_begins_again(config):
    config["train"] |= {"steps": 12, "checkpoint_every": "end"}
    losses = [*config["loss"], {"type": "parts:breaks", "at": 5}]
    whole = go(config, loss=[*config["loss"], {"type": "parts:breaks", "at": -1}])
    with pytest.raises(RunError) as caught:
        go(config, loss=losses)
    failed = caught.value.run.dir
    assert [place.name for place in failed.glob("checkpoints/*")] == ["step-00000005"]
    config_file = failed / "config.yaml"
    config_file.write_text(config_file.read_text().replace("at: 5,", "at: -1,"))
    assert_same(whole.dir, resume(failed, config).dir)


def test_a_switched_off_monitor_stays_off(config):
    config["train"]["steps"] = 40
    config["monitors"].append({"type": "parts:stumbles", "every": "10 steps"})
    whole = go(config)
    resumed = resume(cut(whole, 22), config)
    assert resumed.warnings == whole.warnings
    assert sum("switched off" in text for text in resumed.warnings) == 1


def test_other_parts_are_refused_and_nothing_is_written(config):
    config["train"]["steps"] = 40
    part = cut(go(config), 22)
    text = (part / "config.yaml").read_text()
    (part / "config.yaml").write_text(text.replace("dimension: 2", "dimension: 3"))
    with pytest.raises(EbmError, match=r"there are now events of shape \[3\], not \[2\]"):
        resume(part, config)
    change(part / "run.json", data=None)  # as before runs recorded them
    before = {file: file.read_bytes() for file in part.rglob("*") if file.is_file()}
    with pytest.raises(EbmError, match=r"step-00000022: its state doesn't fit energy 'parts:bowl'"):
        resume(part, config)
    assert {file: file.read_bytes() for file in part.rglob("*") if file.is_file()} == before


def test_an_experiment_of_objects_resumes(config):
    def make():
        torch.manual_seed(0)
        energy = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
        return ebmcore.Experiment(
            data=torch.randn(60, 2, generator=torch.Generator().manual_seed(1)),
            energy=energy,
            loss=lambda energy, x: energy(x).square().mean(),
            seed=4,
        )

    train = {"steps": 20, "batch_size": 10, "checkpoint_every": "7 steps", "log_every": 3}
    whole = make().run(tracking="off", progress=False, **train)
    part = cut(whole, 14)
    with pytest.raises(EbmError, match=r"made of objects; make the same Experiment again"):
        ebmcore.resume(part)
    experiment = make()
    with pytest.raises(EbmError, match="no run directory"):  # and it may be tried once more
        experiment.resume(part / "nowhere", tracking="off", progress=False, **train)
    resumed = experiment.resume(part, tracking="off", progress=False, **train)
    assert_same(whole.dir, resumed.dir)
