import math

import pytest
import torch
from ebmcore_monitors.likelihood.quadrature import (
    LEAK,
    _estimated_leak,
    _integrate_once,
    _log_weights,
    integrate,
)
from ebmcore_monitors.points.grid import grid_over
from torch.testing import assert_close


def test_weights_are_those_of_the_trapezoid():
    weights = _log_weights((3, 2), (0.5, 2.0)).exp().reshape(3, 2)
    expected = torch.tensor([[0.25, 0.25], [0.5, 0.5], [0.25, 0.25]])
    assert_close(weights, expected.double())


def counted(energy):
    """Return the energy, and a list of how many points it was asked for."""
    asked = []

    def counts(x):
        asked.append(len(x))
        return energy(x)

    return counts, asked


def integral(energy, points=101):
    box = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
    return integrate(energy, lambda grid: None, torch.zeros(1, 2), box, points)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_an_energy_that_hardly_rises_widens_no_box(slope):
    energy, asked = counted(lambda x: slope * x.abs().sum(1))
    found = integral(energy)
    assert found.leak > LEAK
    assert found.grid.shape == (101, 101)
    assert sum(asked) < 2 * 101**2  # twice widened it would be 401²


@pytest.mark.parametrize(("sd", "doublings"), [(0.15, 0), (0.3, 1), (0.6, 2)])
def test_the_box_grows_at_once_to_the_first_that_holds_the_mass(sd, doublings):
    energy, asked = counted(lambda x: 0.5 * (x / sd).square().sum(1))
    found = integral(energy)
    points = 100 * 2**doublings + 1
    assert found.grid.shape == (points, points)
    assert found.leak < LEAK
    assert found.log_z == pytest.approx(math.log(2 * math.pi * sd**2), abs=1e-5)
    assert sum(asked) < points**2 + (101**2 if doublings else 0) + 6000


def test_a_leak_that_falls_tenfold_is_followed_to_the_largest_box():
    energy, _ = counted(lambda x: 2.5 * x.abs().sum(1))
    found = integral(energy)
    assert found.grid.shape == (401, 401)
    assert LEAK < found.leak < 1e-5


def test_an_estimated_leak_is_the_grid_s():
    def energy(x):
        return 3.0 * x.abs().sum(1)

    grid = grid_over(torch.tensor([[-2.0, -2.0], [2.0, 2.0]]), 201)
    exact = _integrate_once(energy, lambda grid: None, torch.zeros(1, 2), grid)
    for log_z, times in ((exact.log_z, 1), (exact.log_z + math.log(100), 100)):
        estimate = _estimated_leak(energy, torch.zeros(1, 2), grid, log_z)
        assert estimate * times == pytest.approx(exact.leak, rel=0.05)
