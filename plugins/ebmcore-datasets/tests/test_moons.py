import math

import numpy as np
import pytest
import scipy.integrate
import torch
from ebmcore_datasets import Moons
from ebmcore_datasets.densities import curve
from sklearn.datasets import make_moons

POINTS = [[0.0, 0.0], [1.0, -0.5], [-3.0, -0.5], [-1.0, 1.6], [3.1, 0.9], [0.9, 0.1], [-2.0, 2.0]]


def by_angle(x, radius, std):
    """The density as its definition has it, by adaptive quadrature over the angle."""
    total = 0.0
    for sign in (1, -1):

        def density(angle, sign=sign):
            first = x[0] - sign * radius * (math.cos(angle) - 0.5)
            second = x[1] - sign * radius * (math.sin(angle) - 0.25)
            squared = first**2 + second**2
            return math.exp(-squared / (2 * std**2)) / (2 * math.pi * std**2)

        found, _ = scipy.integrate.quad(density, 0, math.pi, epsrel=1e-11, epsabs=0, limit=500)
        total += found / math.pi / 2
    return total


@pytest.mark.parametrize(("radius", "std"), [(2.0, 0.2), (1.0, 0.5), (1.5, 3.0)])
def test_log_prob_is_the_mean_over_the_angle(radius, std):
    found = Moons(radius=radius, std=std).log_prob(torch.tensor(POINTS, dtype=torch.float64))
    expected = [math.log(by_angle(x, radius, std)) for x in POINTS]
    np.testing.assert_allclose(found, expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("keys", [{}, {"std": 0.01}, {"std": 1.0}, {"radius": 0.3, "std": 0.05}])
def test_more_nodes_change_nothing(keys, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    moons = Moons(n=300, generator=generator, **keys)
    spread = torch.randn(300, 2, generator=generator)
    x = torch.cat([moons(), moons() + 20 * moons.std * spread]).double()
    found = moons.log_prob(x)
    monkeypatch.setattr(curve, "PANEL", curve.PANEL / 5)
    monkeypatch.setattr(curve, "TURN", curve.TURN / 5)
    finer = Moons(**keys)
    assert finer.terms >= 3 * moons.terms
    expected = finer.log_prob(x)
    near = expected > expected.max() + math.log(1e-15)
    assert near.sum() > 300
    assert (~near).sum() > 50
    assert (found - expected)[near].abs().max() < 1e-8
    assert ((found - expected) / expected)[~near].abs().max() < 1e-3


def test_they_are_the_half_circles_of_scikit_learn():
    theirs = torch.tensor(make_moons(200, shuffle=False, noise=None)[0])
    shifted = 2.0 * (theirs - torch.tensor([0.5, 0.25]))
    moons = Moons(std=1e-3, generator=torch.Generator().manual_seed(0))
    on_curve = (torch.cdist(shifted, moons._nodes).amin(1) < 3e-3).all()
    assert on_curve
    assert torch.cdist(moons().double(), shifted).amin(1).max() < 2 * math.pi / 199 + 6e-3
