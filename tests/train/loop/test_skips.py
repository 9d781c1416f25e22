"""A step that is skipped moves nothing, whatever remembers something of it; compiled, too."""

import json

import pytest
import torch
from safetensors.torch import load_file

import ebmcore
from ebmcore.compile.graph import unavailable
from ebmcore.compile.step import CompiledStep
from ebmcore.runner import spec
from support import HARD, SKIPS


@pytest.fixture
def config(config):
    config["plugins"]["files"] += [str(SKIPS), str(HARD)]
    config["monitors"] = []
    config["train"] = {
        "steps": 12,
        "batch_size": 20,
        "ema": 0.5,
        "log_every": 4,
        "checkpoint_every": "1 steps",
        "keep_checkpoints": 99,
        "on_divergence": "skip",
        "max_skips": 99,
    }
    return config


def at(run, step):
    """What a checkpoint holds of weights, averages, chains, optimiser and parts, as one text."""
    folder = run.dir / "checkpoints" / f"step-{step:08d}"
    tensors = {
        f"{name} {key}": value
        for name in ("weights", "ema", "network-shift", "network-shift-ema", "chains", "state")
        if (folder / f"{name}.safetensors").exists()
        for key, value in load_file(folder / f"{name}.safetensors").items()
        if not key.startswith(("state.streams", "state.loop"))
    }
    plain = dict(json.loads((folder / "state.json").read_text())["dict"])
    names = ("chains", "optimizer", "optimizers", "n_averaged", "parts")
    kept = {key: plain[key] for key in names if key in plain}
    return json.dumps([kept, {key: value.tolist() for key, value in tensors.items()}])


def skipped(run):
    lines = (run.dir / "events.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def moved(run):
    """The steps that changed something, counted from 1."""
    found = [at(run, step) for step in range(1, run.step + 1)]
    return [1, *(step for step in range(2, run.step + 1) if found[step - 1] != found[step - 2])]


def test_a_skipped_step_moves_nothing_that_remembers(config):
    config["sampler"] = "adapts"
    config["networks"] = {"shift": "shifts"}
    config["loss"] = [{"type": "gap"}, {"type": "follows"}, {"type": "totals", "at": [3, 4, 8]}]
    run = ebmcore.run(config, progress=False)
    assert skipped(run) == [4, 5, 9]
    assert moved(run) == [1, 2, 3, 6, 7, 8, 10, 11, 12]
    assert '["calls", 9]' in json.dumps(json.loads(at(run, 12)))


def test_a_first_step_that_is_skipped(config):
    config["sampler"] = "adapts"
    config["loss"] = [{"type": "gap"}, {"type": "totals", "at": [0, 1]}]
    run = ebmcore.run(config, progress=False)
    assert skipped(run) == [1, 2]
    assert run.status == "FINISHED"
    assert at(run, 1) == at(run, 2) != at(run, 3)


@pytest.mark.slow
@pytest.mark.skipif(unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled")
def test_the_same_steps_are_skipped_compiled_and_move_nothing(config, monkeypatch):
    config |= {"data": "some_far", "energy": "normed", "loss": "far_is_wrong"}
    config["train"] |= {"batch_size": 2, "max_energy": 1e6}
    config["sampler"] |= {"n_steps": 2}
    eager = ebmcore.run(config, progress=False)
    made = []

    def training_step(choice, warn, compiling):
        return lambda *parts: made.append(CompiledStep(*parts, backend="aot_eager")) or made[-1]

    monkeypatch.setattr(spec, "training_step", training_step)
    compiled = ebmcore.run(config, progress=False)
    assert made[0].mode != "eager"
    assert skipped(compiled) == skipped(eager) != []
    for run in (eager, compiled):
        assert sorted({*moved(run), *skipped(run)}) == list(range(1, 13))
        assert not {*moved(run)} & {*skipped(run)} - {1}
        assert json.loads((run.dir / "run.json").read_text())["skipped"] == len(skipped(run))
