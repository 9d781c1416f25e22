"""Ising draws: their law over all events, their entropy, and what can't be drawn exactly."""

import math

import pytest
import torch
from ebmcore_discrete import IsingDraws


def test_the_law_is_exact(exact, seeded):
    data, x = IsingDraws((3, 4), n=20_000, generator=seeded), exact.events(2, (3, 4))
    log_p = data.log_prob(x)
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert data.entropy == pytest.approx(-(log_p.exp() * log_p).sum().item(), abs=1e-6)
    drawn = -data.log_prob(data().double())
    assert abs(drawn.mean().item() - data.entropy) < 5 * drawn.std().item() / 20_000**0.5
    assert data.log_prob(torch.full((1, 3, 4), 0.5)).item() == -math.inf


def test_a_random_graph_is_drawn_by_adding_up(exact, seeded):
    data = IsingDraws((8,), graph="random", degree=3.0, n=30_000, generator=seeded)
    p = data.log_prob(exact.events(2, (8,))).exp()
    places = 2 ** torch.arange(7, -1, -1)
    found = torch.bincount((data().long() * places).sum(1), minlength=256)
    assert ((found - 30_000 * p).abs() < 5 * (30_000 * p).sqrt() + 3).all()


def test_what_cant_be_drawn_is_refused():
    with pytest.raises(ValueError, match="shorter side has at most 12"):
        IsingDraws((13, 14))
