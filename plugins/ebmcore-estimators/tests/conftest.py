"""Energies whose log Z is known, and a generator."""

import math
from types import SimpleNamespace

import pytest
import torch

WEIGHTS = (1.0, 3.0)
CENTERS = (-2.0, 2.0)


def gaussian(x):
    """½ (x - 1)²/s² with s = 0.5, 1, 2 for events of 3 numbers."""
    return 0.5 * ((x.flatten(1) - 1) / torch.tensor([0.5, 1.0, 2.0]).to(x)).square().sum(1)


def mixture(x):
    """Two Gaussians of sd ½ in the plane, of weights 1 and 3."""
    at = torch.tensor(CENTERS).to(x)
    logs = torch.tensor(WEIGHTS).to(x).log() - 2 * (x[:, None] - at[:, None]).square().sum(2)
    return -logs.logsumexp(1)


def wells(x):
    """Tilted double wells, one for each number: x⁴ - 4x² - x/2."""
    squared = x.square()
    return (squared * (squared - 4) - 0.5 * x).flatten(1).sum(1)


def of_wells(numbers):
    """log Z of `wells`, by the trapezoidal rule."""
    x = torch.linspace(-5, 5, 4001, dtype=torch.float64)
    return numbers * float((-wells(x[:, None])).logsumexp(0) + math.log(10 / 4000))


def draw_mixture(n, generator):
    which = torch.multinomial(torch.tensor(WEIGHTS), n, True, generator=generator)
    noise = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return torch.tensor(CENTERS).double()[which, None] + 0.5 * noise


@pytest.fixture
def known():
    """Offer energies and their log Z."""
    return SimpleNamespace(
        gaussian=gaussian,
        of_gaussian=1.5 * math.log(2 * math.pi),
        mixture=mixture,
        of_mixture=math.log(sum(WEIGHTS) * 2 * math.pi * 0.25),
        draw_mixture=draw_mixture,
        wells=wells,
        of_wells=of_wells,
    )


@pytest.fixture
def seeded():
    return torch.Generator().manual_seed(0)
