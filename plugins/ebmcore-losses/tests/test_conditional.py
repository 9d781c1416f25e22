"""The losses with conditional energies: each event, and each sample, with its own condition."""

import math
from typing import NamedTuple

import pytest
import torch
from ebmcore_losses import (
    DenoisingScoreMatching,
    ImprovedCD,
    contrastive_divergence,
    cross_entropy,
    energy_discrepancy,
    energy_magnitude,
    gradient_penalty,
    multilevel_denoising,
    noise_smoothness,
    score_matching,
    sliced_score_matching,
)
from torch import Tensor, nn

from ebmcore import Kernel, Sampler, energy_and_score
from ebmcore.config import loss_slots

LOSSES = [
    DenoisingScoreMatching(sigma=0.2),
    ImprovedCD(),
    contrastive_divergence,
    energy_discrepancy,
    energy_magnitude,
    gradient_penalty(),
    gradient_penalty(at_samples=True),
    noise_smoothness,
    score_matching,
    sliced_score_matching,
]


class Around(nn.Module):
    """E(x, y) = Σ w (x - y)⁴, whose condition is a point: the same everywhere if y moves along."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.3, 1.1], dtype=torch.float64))

    def forward(self, x, y):
        return (self.w * (x - y) ** 4).sum(1)


class State(NamedTuple):
    x: Tensor


class Descent(Kernel):
    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return ()

    def step(self, energy, state, noise):
        return State(state.x + 0.01 * energy_and_score(energy, state.x)[1]), None


def value(loss, x, x_neg, y, y_neg):
    slots = {
        "energy": Around(),
        "x": x + 0.3,
        "x_neg": x_neg - 0.4,
        "y": y,
        "y_neg": y_neg,
        "mask": None,
        "mask_neg": None,
        "sampler": Sampler(Descent(), 1),
        "generator": torch.Generator().manual_seed(3),
    }
    found = loss(**{name: slots[name] for name in loss_slots(loss)})
    return (found[0] if isinstance(found, tuple) else found).item()


@pytest.mark.parametrize(
    "loss", LOSSES, ids=lambda loss: getattr(loss, "__name__", type(loss).__name__)
)
def test_each_event_and_each_sample_keeps_its_own_condition(loss):
    generator = torch.Generator().manual_seed(0)
    x, other = torch.randn(2, 6, 2, generator=generator, dtype=torch.float64)
    here, there = value(loss, x, other, x, other), value(loss, other, x, other, x)
    assert here == pytest.approx(there, rel=1e-9)
    assert value(loss, x, other, x.flip(0), other) != pytest.approx(here, rel=1e-3)
    if "x_neg" in loss_slots(loss):
        assert value(loss, x, other, x, other.flip(0)) != pytest.approx(here, rel=1e-3)


class Table(nn.Module):
    def logits(self, x):
        return x


def test_cross_entropy_by_hand():
    x = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]], dtype=torch.float64)
    found, logged = cross_entropy(Table(), x, torch.tensor([1.0, 1.0]))
    assert found.item() == pytest.approx(-(math.log(3 / 4) + math.log(1 / 5)) / 2)
    assert logged["accuracy"].item() == 0.5
    smooth = cross_entropy(Table(), x, torch.tensor([1, 1]), label_smoothing=1.0)[0]
    both = [-(math.log(3 / 4) + math.log(1 / 4)) / 2, -(math.log(4 / 5) + math.log(1 / 5)) / 2]
    assert smooth.item() == pytest.approx(sum(both) / 2)
    with pytest.raises(ValueError, match=r"an energy with `logits`.*Linear has none"):
        cross_entropy(nn.Linear(2, 1), x, torch.tensor([1, 1]))


class Levels(nn.Module):
    """E(x, t) = θ ‖x‖² / 2(s² + t²): at θ = 1, N(0, s²) convolved with each level."""

    def __init__(self, s=0.7):
        super().__init__()
        self.s = s
        self.theta = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.register_buffer("sigmas", torch.tensor([0.2, 0.8, 2.0], dtype=torch.float64))

    def forward(self, x, t):
        return self.theta * x.square().sum(1) / (2 * (self.s**2 + t**2))


def test_multilevel_denoising_is_its_formula_and_its_gradient_zero_at_the_truth():
    energy, generator = Levels(), torch.Generator().manual_seed(1)
    n = 200_000
    x = energy.s * torch.randn(n, 2, generator=generator, dtype=torch.float64)
    found = multilevel_denoising(energy, x, torch.Generator().manual_seed(2))
    again = torch.Generator().manual_seed(2)
    sigma = energy.sigmas[torch.randint(3, (n,), generator=again)][:, None]
    noise = torch.randn(x.shape, generator=again, dtype=x.dtype)
    slope = (x + sigma * noise) / (energy.s**2 + sigma**2)  # of E at θ = 1
    each = 0.5 * (sigma * slope - noise).square().sum(1)
    torch.testing.assert_close(found, each.mean())
    (gradient,) = torch.autograd.grad(found, energy.theta)
    terms = ((sigma * slope - noise) * sigma * slope).sum(1)  # each event's dE/dθ
    torch.testing.assert_close(gradient, terms.mean())
    assert abs(gradient) < 5 * terms.std() / math.sqrt(n)
    with pytest.raises(ValueError, match=r"noise levels, `sigmas`.*Around has none"):
        multilevel_denoising(Around(), x, None)
