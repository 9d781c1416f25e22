"""Runs that were stopped go on as if they never had been: same weights, chains and metrics."""

import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ebmcore
from ebmcore import EbmError, RunError, RunInterrupted
from support import HARD

TIMES = ("time", "train/steps_per_second")  # what a clock says


@pytest.fixture
def config(config):
    """A run in which every kind of state matters, each in a stream or a place of its own."""
    config["plugins"]["files"].append(str(HARD))
    config["energy"]["dropout"] = 0.2
    config["loss"] = [{"type": "gap"}, {"type": "critic"}, {"type": "smears"}]
    config["lr_scheduler"] = {"type": "MultiStepLR", "milestones": [40, 90], "interval": "step"}
    config["train"] = {
        "steps": 130,
        "batch_size": 20,
        "ema": 0.9,
        "data_noise": 0.1,
        "log_every": 7,
        "checkpoint_every": "11 steps",
    }
    config["monitors"] = [
        {"type": "parts:looks", "every": "25 steps"},
        {"type": "counts", "every": "10 steps"},
    ]
    return config


def files(config):
    return config["plugins"]["files"]


def go(config, **overrides):
    return ebmcore.run(config, overrides, progress=False)


def resume(folder, config, **options):
    return ebmcore.resume(folder, plugins=files(config), progress=False, **options)


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in found]


def tensors(folder):
    last = max(folder.glob("checkpoints/step-*"))
    return {
        f"{file.stem}/{name}": value
        for file in sorted(last.glob("*.safetensors"))
        for name, value in load_file(file).items()
    }


def assert_same(one, other):
    first, second = tensors(one), tensors(other)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []
    assert lines(one) == lines(other)


@pytest.fixture
def interrupt(config):
    """Stop a run by a signal at a step, and return its directory."""

    def stop(at, number=signal.SIGTERM, **overrides):
        losses = [*config["loss"], {"type": "signals", "at": at, "number": int(number)}]
        with pytest.raises(RunInterrupted) as caught:
            go(config, loss=losses, **overrides)
        return caught.value.run

    return stop


@pytest.mark.parametrize("at", [0, 9, 10, 24, 65, 128])
def test_a_run_that_was_stopped_ends_as_if_it_never_had_been(config, interrupt, at):
    losses = [*config["loss"], {"type": "signals", "at": -1}]
    whole = go(config, loss=losses)
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
    ],
    ids=lambda schedule: schedule["type"],
)
def test_schedules_go_on(config, schedule):
    config["optimizer"] = {"type": "SGD", "lr": 0.02, "momentum": 0.9}
    config["train"]["steps"] = 40
    whole = go(config, lr_scheduler=schedule)
    part = cut(whole, config, 22)
    assert_same(whole.dir, resume(part, config).dir)


def cut(run, config, step):
    """Copy a run's directory as it was when a checkpoint had been written and the process died."""
    import shutil

    folder = run.dir.with_name(f"{run.dir.name}-cut-{step}")
    shutil.copytree(run.dir, folder)
    for place in folder.glob("checkpoints/step-*"):
        if int(place.name[5:]) > step:
            shutil.rmtree(place)
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, "status": "RUNNING", "pid": 0}))
    return folder


def test_a_torn_line_and_later_lines_are_written_again(config):
    config["train"]["steps"] = 40
    whole = go(config)
    part = cut(whole, config, 33)
    metrics = part / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-9])
    (part / "events.jsonl").write_text('{"step": 9, "ti')
    (part / "checkpoints" / ".step-00000040.part").mkdir()
    assert_same(whole.dir, resume(part, config).dir)
    assert not list((part / "checkpoints").glob(".*"))
    _, event = (part / "events.jsonl").read_text().splitlines()
    assert json.loads(event)["event"] == "resumed"


def test_a_stream_that_a_part_was_made_with_goes_on(config):
    config["train"]["steps"] = 24
    config["loss"].append({"type": "holds_stream"})
    whole = go(config)
    assert_same(whole.dir, resume(cut(whole, config, 11), config).dir)


def test_a_run_with_no_checkpoint_begins_again(config):
    config["train"]["steps"] = 15
    whole = go(config)
    part = cut(whole, config, 0)
    assert_same(whole.dir, resume(part, config).dir)


def damage_bytes(place):
    file = place / "state.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def damage_length(place):
    file = place / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def damage_manifest(place):
    file = place / "manifest.json"
    file.write_bytes(file.read_bytes()[:40])


def damage_missing(place):
    (place / "chains.safetensors").unlink()


@pytest.mark.parametrize("damage", [damage_bytes, damage_length, damage_manifest, damage_missing])
def test_an_altered_checkpoint_is_passed_over(config, damage):
    config["train"]["steps"] = 40
    whole = go(config)
    part = cut(whole, config, 33)
    damage(part / "checkpoints" / "step-00000033")
    resumed = resume(part, config)
    (warning,) = [text for text in resumed.warnings if "is used instead" in text]
    assert "step-00000033" in warning
    assert warning.endswith("step-00000022 is used instead")
    assert_same(whole.dir, resumed.dir)


def test_load_passes_over_an_altered_checkpoint_too(config):
    config["train"]["steps"] = 40
    run = go(config)
    damage_bytes(run.dir / "checkpoints" / "step-00000040")
    loaded = ebmcore.load(run.dir, plugins=files(config))
    assert loaded.step == 33
    (doubt,) = loaded.skipped_checkpoints
    assert doubt.endswith("step-00000033 is used instead")
    assert ebmcore.load(run.dir, plugins=files(config), checkpoint=22).step == 22
    with pytest.raises(EbmError, match="no checkpoint of step 5; there are: 22, 33, 40"):
        ebmcore.load(run.dir, plugins=files(config), checkpoint=5)


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


def test_cadence_retention_and_the_best(config):
    config["train"] |= {"steps": 60, "keep_checkpoints": 2, "keep_best": "counts/zigzag"}
    run = go(config)
    steps = [int(place.name[5:]) for place in sorted(run.dir.glob("checkpoints/step-*"))]
    assert steps == [30, 55, 60]  # zigzag is lowest at its third look
    facts = json.loads((run.dir / "run.json").read_text())
    assert facts["best"] == {"metric": "counts/zigzag", "value": -3.0, "step": 30}
    assert ebmcore.load(run.dir, plugins=files(config), checkpoint="best").step == 30
    highest = go(config, **{"train.keep_best": "max counts/zigzag"})
    assert json.loads((highest.dir / "run.json").read_text())["best"]["step"] == 40
    (warning,) = go(config, **{"train.keep_best": "no/such"}).warnings
    assert "no metric 'no/such' was recorded; there are: counts/looks, counts/zigzag" in warning


def test_the_best_survives_a_stop(config):
    config["train"] |= {"steps": 60, "keep_checkpoints": 2, "keep_best": "counts/zigzag"}
    whole = go(config)
    resumed = resume(cut(whole, config, 50), config)
    names = [sorted(p.name for p in r.dir.glob("checkpoints/*")) for r in (whole, resumed)]
    assert names[0] == names[1]
    assert_same(whole.dir, resumed.dir)


def test_checkpoints_by_the_clock(config):
    config["train"] |= {"steps": 30, "checkpoint_every": "0.00001 minutes", "keep_checkpoints": 99}
    assert len(list(go(config).dir.glob("checkpoints/step-*"))) == 30
    config["train"]["checkpoint_every"] = "10 minutes"
    assert len(list(go(config).dir.glob("checkpoints/step-*"))) == 1


def test_a_wrong_cadence_is_refused(config):
    config["train"]["checkpoint_every"] = "10 parsecs"
    with pytest.raises(EbmError, match=r"checkpoint_every should be a cadence .*'10 parsecs'"):
        go(config)


def test_a_switched_off_monitor_stays_off(config):
    config["train"]["steps"] = 40
    config["monitors"].append({"type": "parts:stumbles", "every": "10 steps"})
    whole = go(config)
    resumed = resume(cut(whole, config, 22), config)
    assert resumed.warnings == whole.warnings
    assert sum("switched off" in text for text in resumed.warnings) == 1


def test_other_parts_are_refused_and_nothing_is_written(config):
    config["train"]["steps"] = 40
    part = cut(go(config), config, 22)
    text = (part / "config.yaml").read_text()
    (part / "config.yaml").write_text(text.replace("dimension: 2", "dimension: 3"))
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
    part = cut(whole, config, 14)
    with pytest.raises(EbmError, match=r"made of objects; make the same Experiment again"):
        ebmcore.resume(part)
    experiment = make()
    with pytest.raises(EbmError, match="no run directory"):  # and it may be tried once more
        experiment.resume(part / "nowhere", tracking="off", progress=False, **train)
    resumed = experiment.resume(part, tracking="off", progress=False, **train)
    assert_same(whole.dir, resumed.dir)


@pytest.mark.slow
def test_twenty_kills_at_random_moments(config, tmp_path):
    """SIGKILL at random moments, real processes, MLflow on: nothing is lost, nothing is twice."""
    from mlflow import MlflowClient

    config["train"] |= {"steps": 2500, "log_every": 25, "checkpoint_every": "40 steps"}
    config["monitors"][0]["every"] = "300 steps"
    config["lr_scheduler"]["milestones"] = [900, 1800]
    config["tracking"] = {"experiment": "killed"}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ebmcore.runner.session", "mlflow", "matplotlib.figure"])
    whole = go(config)
    (tmp_path / "c.json").write_text(json.dumps({**config, "name": "killed"}))

    choose = random.Random(7)
    kills: list[int] = []  # the last checkpoint's step at each
    child = _start(context, _begin, tmp_path, files(config))
    while len(kills) < 24 and child.is_alive():
        if choose.random() < 0.7:  # in the midst of training, else at any moment of its beginning
            _wait_for_progress(tmp_path, child)
        child.join(choose.uniform(0.0, 0.5))
        if not child.is_alive():
            break
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        kills.append(_reached(tmp_path))
        child = _start(context, _go_on, tmp_path, files(config))
    child.join(120)
    assert child.exitcode == 0
    assert len(kills) >= 20
    assert len(set(kills)) >= 8, kills  # they were spread over the run
    (folder,) = tmp_path.glob("runs/killed-*")
    assert_same(whole.dir, folder)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "FINISHED"
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    run_id = facts["mlflow"]["run_id"]
    assert client.get_run(run_id).info.status == "FINISHED"
    written = {
        (name, line["step"])
        for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        for name in line
        if name not in ("step", "epoch", "time")
    }
    names = {name for name, _ in written}
    sent = [(n, m.step) for n in names for m in client.get_metric_history(run_id, n)]
    assert len(sent) == len(set(sent))
    assert set(sent) == written
    experiment = client.get_experiment_by_name("killed").experiment_id
    assert len(client.search_runs([experiment])) == 2  # the whole one and the killed one


def _start(context, target, *arguments):
    child = context.Process(target=target, args=arguments)
    child.start()
    return child


def _reached(folder):
    found = sorted(folder.glob("runs/killed-*/checkpoints/step-*"))
    return int(found[-1].name[5:]) if found else 0


def _wait_for_progress(folder, child):
    before, until = _reached(folder), time.monotonic() + 30
    while _reached(folder) == before and child.is_alive() and time.monotonic() < until:
        time.sleep(0.01)


def _begin(folder, plugins):
    os.chdir(folder)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    ebmcore.run(json.loads(Path("c.json").read_text()), progress=False)


def _go_on(folder, plugins):
    found = sorted(folder.glob("runs/killed-*/run.json"))
    if not found or not (found[0].parent / "config.yaml").exists():
        for place in folder.glob("runs/killed-*"):  # killed before there was anything to go on from
            place.rename(folder / f"stillborn-{time.monotonic_ns()}")
        return _begin(folder, plugins)
    os.chdir(folder)
    torch.set_num_threads(1)
    ebmcore.resume(found[0].parent, plugins=plugins, progress=False)
    return None
