"""Bars and stripes: every picture, its probability, the entropy."""

import math

import pytest
import torch
from ebmcore_discrete import Bars

from ebmcore import Binary


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_the_law_is_exact(side, exact):
    bars = Bars(side=side)
    x = exact.events(2, (side, side))
    log_p = bars.log_prob(x)
    p = log_p.exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    assert int((p > 0).sum()) == 2 ** (side + 1) - 2
    assert bars.entropy == pytest.approx(-(p[p > 0] * log_p[p > 0]).sum().item(), abs=1e-12)
    assert log_p[0].item() == pytest.approx(-side * math.log(2))


def test_draws_follow_it(seeded):
    x = Bars(n=32000, generator=seeded)()
    Binary().check(x)
    assert (x.shape, x.dtype) == ((32000, 4, 4), torch.float32)
    pictures, counts = x.unique(dim=0, return_counts=True)
    expected = 32000 * Bars().log_prob(pictures).exp()
    assert len(pictures) == 30
    assert ((counts - expected).abs() < 5 * expected.sqrt()).all()


def test_other_events_and_sizes_are_refused():
    with pytest.raises(ValueError, match=r"takes pictures \(m, 4, 4\)"):
        Bars().log_prob(torch.zeros(2, 16))
    assert Bars().log_prob(torch.full((1, 4, 4), 0.5)).item() == -math.inf
    with pytest.raises(ValueError, match="should be positive; got n=5, side=0"):
        Bars(n=5, side=0)
