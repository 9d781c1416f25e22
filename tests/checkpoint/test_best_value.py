"""The best value of a metric, its step, and what a resumed run knows of it."""

import math

import pytest

from ebmcore.checkpoint.best import Best

VALUES = [math.nan, 3.0, 3.0, math.inf, 2.0, 5.0, -math.inf, 5.0]


@pytest.mark.parametrize(
    ("wanted", "better", "value"),
    [("loss", [2, 5], 2.0), ("min loss", [2, 5], 2.0), (" max  loss ", [2, 6], 5.0)],
)
def test_only_a_better_finite_value_counts(wanted, better, value):
    best = Best(wanted)
    found = [n for n, v in enumerate(VALUES, 1) if best.update(n, {"loss": v, "other": -99.0})]
    assert found == better
    assert best.state() == {"metric": "loss", "value": value, "step": better[-1]}
    resumed, other = Best(wanted), Best("other")
    for one in (resumed, other):
        one.load(best.state())
    assert resumed.state() == best.state()
    assert not resumed.update(9, {"loss": value})
    assert other.state() is None
