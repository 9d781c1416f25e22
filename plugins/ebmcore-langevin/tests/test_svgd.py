"""Stein variational gradient descent against loops by hand, and its discrepancy against draws'."""

import math

import pytest
import torch
from ebmcore_langevin import SVGD
from ebmcore_langevin.svgd import stein_direction

from ebmcore import sample_chain

MEAN = torch.tensor([1.0, -1.0]).double()
SD = torch.tensor([1.0, 0.5]).double()


def gaussian(x):
    return 0.5 * ((x - MEAN) / SD).square().sum(1)


def by_loops(x, score, bandwidth):
    n, phi = len(x), torch.zeros_like(x)
    for i in range(n):
        for j in range(n):
            k = math.exp(-float((x[j] - x[i]).square().sum()) / bandwidth)
            slope = -2 / bandwidth * (x[j] - x[i]) * k  # of k with respect to x_j
            phi[i] += (k * score[j] + slope) / n
    return phi


def test_the_direction_is_that_of_loops():
    g = torch.Generator().manual_seed(0)
    x, score = (torch.randn(7, 3, generator=g, dtype=torch.float64) for _ in range(2))
    squared = sorted(float((a - b).square().sum()) for a in x for b in x)
    bandwidth = squared[24] / math.log(8)  # the median of 49
    torch.testing.assert_close(stein_direction(x, score), by_loops(x, score, bandwidth))


def test_one_step_by_hand():
    # two particles at ±1 on E = x²/2: squared distances 0, 0, 4, 4, of which torch's median is 0,
    # so h = 1, k = exp(-4), and the slopes are ∓4k
    x = torch.tensor([[-1.0], [1.0]]).double()
    kernel = SVGD(step_size=0.5, temperature=2.0)
    state, info = kernel.step(lambda x: 0.5 * x.square().sum(1), kernel.init(None, x), ())
    k = math.exp(-4)
    phi = (1 * 0.5 - k * 0.5 - 4 * k) / 2
    assert state.x[:, 0].tolist() == pytest.approx([-1 + 0.5 * phi, 1 - 0.5 * phi])
    assert info.moved.tolist() == pytest.approx([0.5 * abs(phi)] * 2)
    assert info.energy.tolist() == [0.5, 0.5]
    assert info.score_norm.tolist() == [1.0, 1.0]


def discrepancy(x):
    """The kernelised Stein discrepancy of points from the Gaussian, kernel (1 + ‖x - y‖²)^-½.

    Source: Gorham and Mackey 2017, "Measuring sample quality with kernels".
    """
    score = -(x - MEAN) / SD.square()
    away = x[:, None] - x[None]
    squared = 1 + away.square().sum(2)
    cross = ((score[:, None] - score[None]) * away).sum(2) * squared**-1.5
    inner = (score @ score.T) * squared**-0.5
    trace = x.shape[1] * squared**-1.5 - 3 * (squared - 1) * squared**-2.5
    return math.sqrt(float((inner + cross + trace).mean()))


def test_it_brings_the_stein_discrepancy_under_that_of_draws():
    g = torch.Generator().manual_seed(1)
    draws = [
        discrepancy(MEAN + SD * torch.randn(100, 2, generator=g, dtype=torch.float64))
        for _ in range(50)
    ]
    start = 5 + torch.randn(100, 2, generator=g, dtype=torch.float64)
    x = sample_chain(SVGD(step_size=0.5), gaussian, start, n_steps=600)
    assert discrepancy(start) > 20 * max(draws)
    assert discrepancy(x) < min(draws)
    torch.testing.assert_close(x.mean(0), MEAN, rtol=0, atol=0.01)
    torch.testing.assert_close(x.std(0), SD, rtol=0.1, atol=0)


def test_a_single_particle_descends_to_the_mode():
    x = sample_chain(SVGD(step_size=0.1), gaussian, torch.zeros(1, 2).double(), n_steps=200)
    torch.testing.assert_close(x[0], MEAN, rtol=0, atol=1e-6)


def test_a_particle_of_no_finite_score_stays_and_moves_none():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]]).double()
    score = torch.tensor([[1.0, 0.0], [0.0, 1.0], [math.nan, 1.0]]).double()
    phi = stein_direction(x, score)
    assert phi[2].tolist() == [0.0, 0.0]
    assert phi.isfinite().all()
    other = torch.tensor([[1.0, 0.0], [0.0, 1.0], [math.inf, 7.0]]).double()
    torch.testing.assert_close(stein_direction(x, other), phi)
