"""The Fréchet distance against closed forms."""

import math

import pytest
import torch
from ebmcore_monitors.statistics.frechet import frechet_distance, frechet_of_moments


def test_of_covariances_that_commute_it_is_that_of_the_axes():
    mean, other = torch.tensor([1.0, -2, 0]).double(), torch.tensor([0.5, 1, 0]).double()
    a, b = torch.tensor([4.0, 1, 0]).double(), torch.tensor([1.0, 9, 0.25]).double()
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double())[
        0
    ]
    found = frechet_of_moments(mean, turn * a @ turn.T, other, turn * b @ turn.T)
    expected = 0.25 + 9 + (2 - 1) ** 2 + (1 - 3) ** 2 + 0.5**2
    assert found == pytest.approx(expected, abs=1e-9)


def test_of_two_by_two_matrices_in_closed_form():
    a = torch.tensor([[2.0, 0.8], [0.8, 1.0]]).double()
    b = torch.tensor([[1.0, -0.6], [-0.6, 3.0]]).double()
    across = math.sqrt((a @ b).trace() + 2 * math.sqrt(a.det() * b.det()))
    zero = torch.zeros(2).double()
    expected = a.trace() + b.trace() - 2 * across
    assert frechet_of_moments(zero, a, zero, b) == pytest.approx(expected.item(), abs=1e-12)


def test_of_a_sample_and_itself_shifted_and_scaled():
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1)).double()
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-12)
    shift = torch.arange(6).double()
    mean, variance = x.mean(0), x.var(0).sum()
    expected = (mean - (2 * mean + shift)).square().sum() + variance
    assert frechet_distance(x, 2 * x + shift) == pytest.approx(expected.item())
    assert frechet_distance(x[:, :1], 2 * x[:, :1]) == pytest.approx(
        (mean[0] ** 2 + x[:, 0].var()).item()
    )
    few = frechet_distance(x[:4], x[4:])  # fewer points than dimensions
    assert (few > 0, math.isfinite(few)) == (True, True)
