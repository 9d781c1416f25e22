import math

import pytest
import torch
from ebmcore_monitors.likelihood.grid_error import at_ends, beyond, spread


def share_of(log_density, *axes):
    """The shares of the mass at the points of a grid by the trapezoid rule."""
    grid = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    share = log_density(grid).exp().reshape([len(axis) for axis in axes])
    for number in range(share.ndim):
        share = share.movedim(number, 0).clone()
        share[[0, -1]] /= 2
        share = share.movedim(0, number)
    return share / share.sum()


def axis(points, low=-1.0, high=1.0):
    return torch.linspace(low, high, points, dtype=torch.float64)


@pytest.mark.parametrize("points", [5, 6, 7, 21, 301])
def test_a_flat_density_has_no_error_but_leaks(points):
    share = share_of(lambda x: 0 * x[:, 0], axis(points), axis(points + 2))
    assert spread(share) < 1e-12
    inner = (points - 2) * points / ((points - 1) * (points + 1))
    assert at_ends(share) == pytest.approx(1 - inner, abs=1e-12)


@pytest.mark.parametrize(
    ("at", "sd"), [(0.0, 0.3), (0.5, 0.3), (0.25, 0.3), (0.0, 0.6), (0.5, 3.0)]
)
def test_the_error_of_a_narrow_gaussian_is_no_more_than_the_spread(at, sd):
    x = axis(41, -20, 20)  # of spacing 1, so the sum is exact but for where the peak lies
    density = -0.5 * ((x - at) / sd).square() - math.log(sd * math.sqrt(2 * math.pi))
    error = abs(float(density.exp().sum()) - 1) / float(density.exp().sum())
    found = spread(share_of(lambda x: -0.5 * ((x[:, 0] - at) / sd).square(), x))
    assert error <= 1.05 * found
    assert found < 1e-3 if sd > 1 else found > 1e-3


def test_spread_by_hand():
    share = torch.tensor([0, 0, 0.5, 0.3, 0.2, 0, 0, 0, 0], dtype=torch.float64)
    # every second point: .7 and .3; every fourth: .2, 0, .5, .3; each a half, or a quarter, of 1
    assert spread(share) == pytest.approx(max(0.4, (4 * 0.5 - 1) / 2), abs=1e-12)
    share = torch.tensor([0, 0, 0.5, 0, 0.5, 0, 0, 0, 0], dtype=torch.float64)
    assert spread(share) == pytest.approx(1, abs=1e-12)  # all of it, or nothing


def test_the_mass_beyond_is_that_of_an_exponential_tail():
    x = axis(201, -5, 5)
    share = share_of(lambda x: -3 * x.abs().sum(1), x)
    assert beyond(share) == pytest.approx(math.exp(-15), rel=0.2)
    growing = share_of(lambda x: x[:, 0], x)
    assert beyond(growing) > 1
    assert beyond(share_of(lambda x: -30 * x[:, 0].square(), x)) < 1e-200
