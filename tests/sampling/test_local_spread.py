"""The data's local spread: known shapes, any scale, and rows that say nothing."""

import math

import pytest
import torch

from ebmcore.sampling import local_spread


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def on_ring(std):
    angle = 2 * math.pi * torch.rand(5000, generator=torch.Generator().manual_seed(2))
    radius = 1 + std * drawn(5000)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


@pytest.mark.parametrize(
    ("x", "expected"),
    [(drawn(5000, 1), 1.0), (drawn(5000, 2), 0.77), (on_ring(0.05), 0.06)],
    ids=["line", "plane", "ring"],
)
def test_it_is_the_noise_that_costs_a_tenth_of_a_nat(x, expected):
    """½(r - 1 - log r), r = s²/(s² + σ²), of each narrow direction is 0.1 nats in all."""
    assert local_spread(x) == pytest.approx(expected, rel=0.25)


def test_separate_clusters_have_their_own():
    which = torch.arange(5000) % 8 * (2 * math.pi / 8)
    centers = torch.stack([which.cos(), which.sin()], 1)
    assert local_spread(centers + 0.05 * drawn(5000, 2)) == pytest.approx(0.04, rel=0.25)


def test_it_scales_with_the_data():
    x = drawn(500, 3, 2).double()
    assert local_spread(0.01 * x) == pytest.approx(0.01 * local_spread(x), rel=1e-9)


def test_equal_rows_count_as_one():
    grid = torch.cartesian_prod(torch.arange(5.0), torch.arange(5.0))
    assert local_spread(grid.repeat(40, 1)) > 0.3
    assert local_spread(torch.zeros(50, 2)) == 1
    assert local_spread(drawn(1, 2)) == 1
