import math

import numpy as np
import pytest
import scipy.stats
import torch
from ebmcore_datasets import Checkerboard


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_board_of_the_defaults():
    board = Checkerboard()
    assert board.bounds.tolist() == [[-4, -4], [4, 4]]
    x = torch.tensor([[-3.0, -3.0], [-1.0, -3.0], [-1.0, -1.0], [3.0, 3.0], [3.0, 1.0], [5.0, 5.0]])
    dark = -math.log(8 * 2 * 2)  # eight squares of side 2
    expected = torch.tensor([dark, -math.inf, dark, dark, -math.inf, -math.inf])
    assert torch.equal(board.log_prob(x), expected)


def test_an_edge_belongs_to_the_dark_square():
    board = Checkerboard()
    x = torch.tensor([[-2.0, -3.0], [-2.0, -1.0], [0.0, 0.0], [-4.0, -3.0], [4.0, 4.0], [4.0, 1.0]])
    assert board.log_prob(x).exp().tolist() == pytest.approx([1 / 32] * 5 + [0])


@pytest.mark.parametrize(
    ("squares", "side", "dark"), [(1, 3.0, 1), (2, 0.7, 2), (3, 1.1, 5), (4, 2.0, 8), (5, 0.1, 13)]
)
def test_the_entropy_is_the_log_of_the_dark_area(squares, side, dark):
    board = Checkerboard(squares=squares, side=side)
    assert board.entropy == pytest.approx(math.log(dark * side**2), abs=1e-12)
    assert board.entropy_error == 0.0


@pytest.mark.parametrize("side", [2.0, 0.1, 1 / 3, 12.34567])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_rounded_points_stay_on_dark_squares(side, dtype):
    board = Checkerboard(squares=5, side=side)
    x = board._clean(20_000, seeded(), dtype)
    assert (board.log_prob(x.double()) == -board.log_area).all()


def test_points_are_uniform_within_a_square():
    """Once in a million times it fails, for each of the two."""
    board = Checkerboard(n=20_000, squares=1, side=3.0, generator=seeded())
    x = board().double() / 3 + 0.5
    assert scipy.stats.kstest(x[:, 0].numpy(), "uniform").pvalue > 1e-6
    assert scipy.stats.kstest(x[:, 1].numpy(), "uniform").pvalue > 1e-6


def convolved(x, squares, side, std):
    """The sum over dark squares of the noise's probability of each, one square at a time."""
    total = dark = 0
    edge = [side * (i - squares / 2) for i in range(squares + 1)]
    noise = scipy.stats.norm(0, std)
    for i in range(squares):
        for j in range(squares):
            if (i + j) % 2 == 0:
                dark += 1
                first = noise.cdf(edge[i + 1] - x[0]) - noise.cdf(edge[i] - x[0])
                total += first * (noise.cdf(edge[j + 1] - x[1]) - noise.cdf(edge[j] - x[1]))
    return total / (dark * side**2)


@pytest.mark.parametrize(
    ("squares", "side", "std"), [(4, 2.0, 0.2), (3, 1.0, 0.5), (1, 2.0, 0.7), (2, 1.0, 2.0)]
)
def test_soft_edges_are_the_board_convolved_with_the_noise(squares, side, std):
    points = [[0.0, 0.0], [0.9, -0.3], [-2.0, 1.1], [1.5, 1.5], [-0.2, 2.2]]
    board = Checkerboard(squares=squares, side=side, std=std)
    found = board.log_prob(torch.tensor(points, dtype=torch.float64)).exp()
    expected = [convolved(x, squares, side, std) for x in points]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
    assert board.bounds is None


def test_soft_edges_far_away_keep_their_digits():
    """There log p is -z²/2 - log(z √2π) of both coordinates and the constant, to 1/z²."""
    board = Checkerboard(squares=1, side=2.0, std=0.1)
    z = 300.0  # the point lies that many standard deviations from both near edges
    for x in ([31.0, 31.0], [-31.0, 31.0], [-31.0, -31.0]):
        found = board.log_prob(torch.tensor([x], dtype=torch.float64)).item()
        one = -(z**2) / 2 - math.log(z * math.sqrt(2 * math.pi))
        assert found == pytest.approx(2 * one - math.log(4), abs=1e-4)


def test_the_entropy_of_edges_too_narrow_for_a_grid_is_by_draws():
    board = Checkerboard(std=0.01)
    assert 1e-4 < board.entropy_error < 1e-2
    # the next wider noise has a grid; at hard edges it is log A, and between it is convex enough
    assert math.log(32) < board.entropy < Checkerboard(std=0.1).entropy
