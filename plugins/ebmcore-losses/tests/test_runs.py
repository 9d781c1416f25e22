"""The losses with unusual wishes in whole runs: training data, a kernel, samples by a key."""

import math

import pytest

import ebmcore
from ebmcore import ConfigError

PARTS = """
import torch
from torch import nn
from typing import NamedTuple
from ebmcore import Chains, Kernel, chains, dataset, energy, energy_and_score, sampler

@dataset
def cloud(*, generator=None):
    return 3 + 0.5 * torch.randn(200, 2, generator=generator)

@energy
class bowl(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.full((2,), 2.5))

    def forward(self, x):
        return 2 * (x - self.mean).square().sum(1)

class State(NamedTuple):
    x: torch.Tensor

@sampler
class descent(Kernel):
    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),)

    def step(self, energy, state, noise):
        _, score = energy_and_score(energy, state.x)
        return State(state.x + 0.02 * score + 0.2 * noise[0]), None

@chains
class at_data(Chains):
    def start(self, x, generator):
        return x.clone()
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whole.py").write_text(PARTS)
    return {
        "plugins": {"files": [str(tmp_path / "whole.py")]},
        "data": "cloud",
        "energy": "bowl",
        "optimizer": {"type": "Adam", "lr": 0.1},
        "train": {"epochs": 25, "batch_size": 90, "log_every": 50},
        "tracking": "off",
    }


def test_noise_contrastive_gets_the_data_and_trains_log_z(config):
    # E = 2‖x - μ‖² has log Z = log(π/2); it begins with the noise's entropy, about that and 1
    config["loss"] = {"type": "noise_contrastive", "ratio": 4}
    run = ebmcore.run(config, progress=False)
    log_z = run.metrics["loss/noise_contrastive/log_z"]
    assert abs(log_z - math.log(math.pi / 2)) < 0.25
    assert (run.energy.mean - 3).abs().max() < 0.25


def test_improved_cd_goes_through_the_runs_kernel(config):
    config |= {"sampler": "descent", "chains": "at_data"}
    config["loss"] = {"type": "improved_cd", "entropy": 1.0, "through": 2}
    run = ebmcore.run(config, progress=False)
    assert run.status == "FINISHED"
    assert {"loss/improved_cd/cd", "loss/improved_cd/kl"} <= run.metrics.keys()


def test_gradient_penalty_asks_for_samples_by_its_key_alone(config):
    config["loss"] = ["denoising_score_matching", {"type": "gradient_penalty", "weight": 0.01}]
    assert ebmcore.run(config, progress=False).status == "FINISHED"
    config["loss"][1]["at_samples"] = True
    with pytest.raises(ConfigError, match="'gradient_penalty' asks for samples"):
        ebmcore.run(config, progress=False)
    config |= {"sampler": "descent", "chains": "at_data"}
    assert ebmcore.run(config, progress=False).status == "FINISHED"
