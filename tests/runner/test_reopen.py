"""A run opened again is the run: its parts are built as they were; a damaged one is refused."""

import json

import pytest
import torch

import ebmcore
from ebmcore import ConfigError, EbmError
from ebmcore.runner.reopen import Facts, Recorded

PARTS = """
import torch
from torch import nn
from ebmcore import sampler

class Drift:
    def __init__(self, by):
        self.by = by

    def sample(self, energy, x, n_steps, generator):
        return x + n_steps * self.by

@sampler
class by_generator(Drift):
    def __init__(self, generator):
        super().__init__(torch.rand(2, generator=generator))

@sampler
class by_the_global_stream(Drift):
    def __init__(self):
        super().__init__(torch.rand(2))

@sampler
class learns(Drift):
    # it remembers what it was called with, as one that tunes its step size

    def __init__(self, by: float = 0.5):
        super().__init__(by)

    def sample(self, energy, x, n_steps, generator):
        self.by = 0.9 * self.by + 0.01 * float(x.detach().mean())
        return x + n_steps * self.by

    def state_dict(self):
        return {"by": self.by}

    def load_state_dict(self, state):
        self.by = state["by"]

@sampler
class guided:
    def __init__(self, guide: nn.Module):
        self.guide = guide

    def sample(self, energy, x, n_steps, generator):
        return x + 0.01 * n_steps * self.guide(x).detach().tanh()[:, None]
"""


@pytest.fixture
def files(config, tmp_path):
    (tmp_path / "drifts.py").write_text(PARTS)
    config["plugins"]["files"].append(str(tmp_path / "drifts.py"))
    config["monitors"] = []
    config["train"]["ema"] = None  # with an average, a run opened again holds the average alone
    return config["plugins"]["files"]


@pytest.mark.parametrize(
    "sampler",
    ["by_generator", "by_the_global_stream", "learns", {"type": "guided", "guide": "@energy"}],
)
def test_its_sampler_is_the_one_that_trained(config, files, sampler):
    config["sampler"] = sampler
    run = ebmcore.run(config, progress=False)
    loaded = ebmcore.load(run.dir, plugins=files)
    assert torch.equal(run.sample(4, 3, seed=1), loaded.sample(4, 3, seed=1))
    if sampler == "learns":  # another sampler remembers nothing of this one
        facts = Facts.read(run.dir)
        own, other = (Recorded(facts, files, o).sampler() for o in ({}, {"sampler.by": 0.25}))
        assert own.kernel.by == run.sampler.kernel.by != 0.5
        assert other.kernel.by == 0.25


def test_a_sampler_of_the_energy_gets_the_trained_one(config, files):
    config["sampler"] = {"type": "guided", "guide": "@energy"}
    run = ebmcore.run(config, progress=False)
    loaded = ebmcore.load(run.dir, plugins=files)
    assert loaded.sampler.kernel.guide is loaded.energy


def damaged(run, file, change):
    path = run.dir / file
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.update(metrics="much"),
        lambda facts: facts.update(metrics={"loss": None}),
        lambda facts: facts.update(seed="x"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(config, change):
    run = ebmcore.run(config, progress=False)
    damaged(run, "run.json", change)
    with pytest.raises(EbmError, match=r"no readable run\.json"):
        ebmcore.load(run.dir, plugins=config["plugins"]["files"])


def test_a_record_nested_without_end_is_refused(config):
    run = ebmcore.run(config, progress=False)
    (run.dir / "run.json").write_text("[" * 100_000)
    with pytest.raises(EbmError, match=r"no readable run\.json"):
        ebmcore.load(run.dir)


def test_a_checkpoint_that_is_none_is_refused(config):
    import hashlib

    run = ebmcore.run(config, progress=False)
    (manifest,) = run.dir.glob("checkpoints/*/manifest.json")
    weights = manifest.parent / "ema.safetensors"
    weights.write_bytes(b"no tensors")
    digest = hashlib.sha256(b"no tensors").hexdigest()
    place = str(manifest.relative_to(run.dir))
    damaged(run, place, lambda found: found["sha256"].update({weights.name: digest}))
    with pytest.raises(EbmError, match=r"ema\.safetensors: no safetensors file"):
        ebmcore.load(run.dir, plugins=config["plugins"]["files"])
    damaged(run, place, lambda found: found.pop("sha256"))
    with pytest.raises(EbmError, match=r"no readable manifest\.json"):
        ebmcore.load(run.dir, plugins=config["plugins"]["files"])


def test_refuse_means_refuse_when_nothing_can_be_compared(config):
    run = ebmcore.run(config, progress=False)
    again, options = run.dir / "config.yaml", {"progress": False, "versions": "refuse"}
    assert ebmcore.run(again, **options).status == "FINISHED"
    damaged(run, "run.json", lambda facts: facts.update(plugins=["x"]))
    with pytest.raises(ConfigError, match=r"run.json can't be read, so it isn't known"):
        ebmcore.run(again, **options)
    assert "can't be read" in ebmcore.run(again, progress=False).warnings[0]
    (run.dir / "run.json").unlink()
    with pytest.raises(ConfigError, match=r"there is no .*run.json to tell which versions"):
        ebmcore.run(again, **options)
    assert ebmcore.run(again, progress=False).warnings == []
