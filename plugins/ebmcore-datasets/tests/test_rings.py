import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from ebmcore_datasets import Rings

POINTS = [[0.0, 0.0], [0.3, -0.1], [1.0, 0.0], [-1.2, 1.7], [2.9, 0.4], [0.0, -4.0]]


def by_angle(x, radii, weights, std):
    """The density as its definition has it: the mean over the angle, by adaptive quadrature."""
    total = 0.0
    for radius, weight in zip(radii, weights, strict=True):
        toward = math.atan2(x[1], x[0])

        def density(angle, radius=radius):
            off = (x[0] - radius * math.cos(angle)) ** 2 + (x[1] - radius * math.sin(angle)) ** 2
            return math.exp(-off / (2 * std**2)) / (2 * math.pi * std**2)

        ends = (toward - math.pi, toward + math.pi)
        mean, _ = scipy.integrate.quad(density, *ends, points=[toward], epsrel=1e-11, limit=500)
        total += weight / sum(weights) * mean / (2 * math.pi)
    return total


@pytest.mark.parametrize(
    ("radii", "weights", "std"),
    [((1.0, 2.0, 3.0), None, 0.3), ((0.5, 2.0), (1.0, 3.0), 0.5), ((0.1,), None, 1.5)],
)
def test_log_prob_is_the_mean_over_the_angle(radii, weights, std):
    found = Rings(radii=radii, weights=weights, std=std).log_prob(torch.tensor(POINTS).double())
    weights = weights or [1.0] * len(radii)
    expected = [math.log(by_angle(x, radii, weights, std)) for x in torch.tensor(POINTS).tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_entropy_is_the_integral_over_the_radius():
    rings = Rings(radii=[0.4, 2.0], weights=[1, 2], std=0.25)

    def surprise(radius):
        log_p = rings.log_prob(torch.tensor([[0.0, radius]], dtype=torch.float64)).item()
        return -2 * math.pi * radius * math.exp(log_p) * log_p

    expected, _ = scipy.integrate.quad(surprise, 0, 5, points=[0.4, 1.2, 2.0], epsrel=1e-11)
    assert rings.entropy == pytest.approx(expected, abs=1e-8)
    assert rings.entropy_error < 1e-7


def test_the_radii_of_the_points_are_rice_distributed():
    """|x| on a ring of radius r is Rice(r / std) times std; once in a million times it fails."""
    x = Rings(n=20_000, radii=[2.0], std=0.4, generator=torch.Generator().manual_seed(0))()
    law = scipy.stats.rice(2.0 / 0.4, scale=0.4)
    assert scipy.stats.kstest(x.norm(dim=1).numpy(), law.cdf).pvalue > 1e-6
    angle = torch.atan2(x[:, 1], x[:, 0]).numpy()
    uniform = scipy.stats.uniform(-math.pi, 2 * math.pi)
    assert scipy.stats.kstest(angle, uniform.cdf).pvalue > 1e-6


def test_weights_are_the_shares_of_the_draws():
    n, share = 20_000, 0.25
    rings = Rings(
        n=n, radii=[1, 9], weights=[6, 2], std=0.1, generator=torch.Generator().manual_seed(0)
    )
    found = (rings().norm(dim=1) > 5).double().mean().item()
    assert abs(found - share) < 5 * math.sqrt(share * (1 - share) / n)
