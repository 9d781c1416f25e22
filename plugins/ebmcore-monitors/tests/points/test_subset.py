"""Random subsets of points, without repeats."""

import torch
from ebmcore_monitors.points.subset import rows_of, subset


def test_a_subset_is_drawn_at_random_without_repeats(seeded):
    x = torch.arange(100.0)[:, None]
    first, again, other = (subset(x, 30, seeded(seed))[:, 0] for seed in (0, 0, 1))
    assert len(first.unique()) == 30
    assert first.max() > 60
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_all_points_are_taken_in_order(seeded):
    x = torch.arange(5.0)[:, None]
    assert rows_of(x, 5, seeded(0)) is None
    assert torch.equal(subset(x, 9, seeded(0)), x)
    assert len(subset(x, 4, seeded(0))) == 4
