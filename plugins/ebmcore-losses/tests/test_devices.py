"""Every loss on the meta device, where nothing can be read back, and in single precision."""

import math
from typing import NamedTuple

import pytest
import torch
from ebmcore_losses import (
    DenoisingScoreMatching,
    ImprovedCD,
    NoiseContrastive,
    contrastive_divergence,
    energy_discrepancy,
    energy_magnitude,
    gradient_penalty,
    l1_parameters,
    l2_parameters,
    noise_smoothness,
    score_matching,
    sliced_score_matching,
)
from ebmcore_losses.plugin import ebmcore_losses
from torch import Tensor, nn

from ebmcore import Binary, Kernel, Sampler, energy_and_score


class State(NamedTuple):
    x: Tensor


class Descent(Kernel):
    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),)

    def step(self, energy, state, noise):
        return State(state.x + 0.1 * energy_and_score(energy, state.x)[1] + noise[0]), None


DATA = torch.randn(20, 2, 2, generator=torch.Generator().manual_seed(0))

CALLS = {
    "contrastive_divergence": lambda e, x, n: contrastive_divergence(e, x, n),
    "denoising_score_matching": lambda e, x, n: DenoisingScoreMatching(0.1)(e, x, None),
    "energy_discrepancy": lambda e, x, n: energy_discrepancy(e, x, None),
    "energy_magnitude": lambda e, x, n: energy_magnitude(e, x, n),
    "gradient_penalty": lambda e, x, n: gradient_penalty(at_samples=True)(e, x, n),
    "improved_cd": lambda e, x, n: ImprovedCD(entropy=1.0, through=2)(
        e, x, n, Sampler(Descent()), None
    )[0],
    "l1_parameters": lambda e, x, n: l1_parameters(e),
    "l2_parameters": lambda e, x, n: l2_parameters(e),
    "noise_contrastive": lambda e, x, n: NoiseContrastive(DATA, ratio=2).to(x.device)(e, x, None)[
        0
    ],
    "noise_smoothness": lambda e, x, n: noise_smoothness(e, x, None),
    "score_matching": lambda e, x, n: score_matching(e, x),
    "sliced_score_matching": lambda e, x, n: sliced_score_matching(e, x, None),
}


def test_none_is_left_out():
    # the kit checks these on the meta device, with the energy or the network that they need
    others = {"cooperative", "cross_entropy", "multilevel_denoising"}
    others |= {"concrete_score_matching", "discrete_energy_discrepancy"}  # of bits and categories
    others |= {"pseudo_likelihood", "ratio_matching"}
    assert CALLS.keys() | others == ebmcore_losses().keys()


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("name", CALLS)
def test_one_training_step(name, device):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        energy = nn.Sequential(
            nn.Flatten(), nn.Linear(4, 5), nn.SiLU(), nn.Linear(5, 1), nn.Flatten(0)
        ).to(device)
        x, x_neg = torch.randn(3, 2, 2, device=device), torch.randn(3, 2, 2, device=device)
        value = CALLS[name](energy, x, x_neg)
        value.backward()
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value.device.type == device
    assert energy[1].weight.grad.shape == (5, 4)
    assert not x.requires_grad
    assert not x_neg.requires_grad
    if device == "cpu":
        assert math.isfinite(value.item())
        assert energy[1].weight.grad.isfinite().all()


@pytest.mark.parametrize(
    "keys",
    [{}, {"covariance": "diagonal"}, {"mean": 0.0, "std": [1.0] * 4}, {"space": Binary()}],
)
def test_the_noise_can_be_made_on_the_meta_device(keys):
    with torch.device("meta"):
        loss = NoiseContrastive(DATA.to("meta"), (2, 2), **keys)
    assert loss.log_z.device.type == "meta"
    assert loss.noise.draw(3, None).shape == (3, 4)
