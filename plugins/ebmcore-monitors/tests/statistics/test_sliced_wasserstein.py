import math

import pytest
import torch
from ebmcore_monitors.statistics.sliced_wasserstein import directions, sliced_wasserstein


def test_sliced_wasserstein_on_a_line_by_hand(first):
    pooled = torch.tensor([[5.0], [1.0], [0.0], [2.0]], dtype=torch.float64)
    found = sliced_wasserstein(pooled, first(2, 2), torch.tensor([[1.0], [-1.0]]).double())
    assert found.item() == pytest.approx(math.sqrt((1**2 + 3**2) / 2), abs=1e-12)


def test_sliced_wasserstein_of_shifted_gaussians_closed_form(seeded, first, normal):
    # y is x moved by m, so that each shadow moves by θᵀm exactly, and SW² = mean (θᵀm)² -> |m|²/d
    d, count = 5, 4000
    x, m = normal(100, d, 0), torch.tensor([1.0, -2.0, 0.0, 2.0, 0.0], dtype=torch.float64)
    along = directions(count, d, seeded(1))
    found = sliced_wasserstein(torch.cat([x, x + m]), first(100, 100), along).item() ** 2
    # (θᵀm)²/|m|² is Beta(½, (d - 1)/2); 4 standard errors of its mean over the directions
    error = 9 * math.sqrt(2 * (d - 1) / (d**2 * (d + 2)) / count)
    assert found == pytest.approx(9 / d, abs=4 * error)


def test_directions_are_unit_vectors_in_all_directions(seeded):
    along = directions(20_000, 3, seeded(0))
    assert along.norm(dim=1).tolist() == pytest.approx([1.0] * 20_000)
    # each of the 3 means has standard error 1/√(3 count): 4.5 of them, once in 50,000
    assert along.mean(0).abs().max() < 4.5 / math.sqrt(60_000)
