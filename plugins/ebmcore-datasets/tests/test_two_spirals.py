import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from ebmcore_datasets import TwoSpirals
from ebmcore_datasets.densities import curve

POINTS = [[0.0, 0.0], [0.4, 0.3], [-1.0, 1.0], [2.0, -1.5], [-3.0, 0.1], [3.1, 0.2], [2.4, 2.4]]


def by_quadrature(x, turns, radius, std):
    """The mean over u, uniform on [0, 1], of both arms' Gaussians at c(√u), as the draws are."""

    def density(u):
        s = math.sqrt(u)
        angle = 2 * math.pi * turns * s
        c = (radius * s * math.cos(angle), radius * s * math.sin(angle))
        squared = [(x[0] - t * c[0]) ** 2 + (x[1] - t * c[1]) ** 2 for t in (1, -1)]
        return sum(math.exp(-q / (2 * std**2)) for q in squared) / (4 * math.pi * std**2)

    ends = np.linspace(0, 1, 41)
    pairs = itertools.pairwise(ends)
    return sum(scipy.integrate.quad(density, a, b, epsrel=1e-11, epsabs=0)[0] for a, b in pairs)


@pytest.mark.parametrize(
    ("turns", "radius", "std"), [(1.5, 3.0, 0.3), (0.5, 2.0, 0.5), (3.0, 3.0, 0.4)]
)
def test_log_prob_is_the_integral_over_the_arms(turns, radius, std):
    spirals = TwoSpirals(turns=turns, radius=radius, std=std)
    found = spirals.log_prob(torch.tensor(POINTS, dtype=torch.float64))
    expected = [math.log(by_quadrature(x, turns, radius, std)) for x in POINTS]
    np.testing.assert_allclose(found, expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    "keys",
    [{}, {"std": 0.03}, {"std": 1.0}, {"turns": 4.0, "std": 0.1}, {"turns": 0.1}, {"radius": 0.2}],
)
def test_more_nodes_change_nothing(keys, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    spirals = TwoSpirals(n=300, generator=generator, **keys)
    spread = torch.randn(300, 2, generator=generator)
    x = torch.cat([spirals(), spirals() + 20 * spirals.std * spread]).double()
    found = spirals.log_prob(x)
    monkeypatch.setattr(curve, "PANEL", curve.PANEL / 5)
    monkeypatch.setattr(curve, "TURN", curve.TURN / 5)
    finer = TwoSpirals(**keys)
    assert finer.terms >= 3 * spirals.terms
    expected = finer.log_prob(x)
    near = expected > expected.max() + math.log(1e-15)
    assert near.sum() > 300
    assert (~near).sum() > 50
    assert (found - expected)[near].abs().max() < 1e-8
    assert ((found - expected) / expected)[~near].abs().max() < 1e-3


def test_an_arm_winds_counter_clockwise_out_to_the_radius():
    spirals = TwoSpirals(n=20_000, std=1e-4, generator=torch.Generator().manual_seed(0))
    x = spirals().double()
    distance = x.norm(dim=1)
    angle = torch.atan2(x[:, 1], x[:, 0]) - 2 * math.pi * 1.5 * distance / 3
    off = torch.remainder(angle + math.pi / 2, math.pi) - math.pi / 2  # from either arm
    assert (off.abs() * distance).max() < 0.01
    # s² is uniform; once in a million times this fails
    assert scipy.stats.kstest((distance / 3).square().numpy(), "uniform").pvalue > 1e-6
    first = torch.cos(angle) > 0
    assert abs(first.double().mean().item() - 0.5) < 5 * 0.5 / math.sqrt(20_000)
