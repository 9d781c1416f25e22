"""MALA with leaps: the shares of wells that its own steps never cross between, and one by hand."""

import math

import pytest
import torch
from ebmcore_langevin import MALA

from ebmcore import sample_chain
from ebmcore.testing import from_law

# One comparison with a law rejects what is right once in a million times.

SHARES, CENTRES = torch.tensor([0.25, 0.75]).double(), torch.tensor([-4.0, 4.0]).double()


def wells(x):
    """E = -log of two Gaussians of the line, eight standard deviations from each other's middle."""
    return -torch.logsumexp(SHARES.log() - (x - CENTRES).square() * 2, 1)


def cdf(x):
    return (torch.special.ndtr((x[:, None] - CENTRES) * 2) * SHARES).sum(-1)


def drawn(kernel):
    x = torch.full((2000, 1), -4.0, dtype=torch.float64)
    return sample_chain(kernel, wells, x, n_steps=150, generator=torch.Generator().manual_seed(1))


def test_leaps_find_the_shares_of_wells_far_apart():
    found = drawn(MALA(0.1, leaps=0.4, leap_size=8.0))
    assert from_law(found[:, 0], cdf).share < 1
    assert (drawn(MALA(0.1)) < 0).all()


def test_a_leap_by_hand():
    kernel = MALA(0.1, temperature=0.5, leaps=0.3, leap_size=2.0)
    x = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)
    xi = torch.tensor([[0.5], [0.5], [0.25]], dtype=torch.float64)
    kind = torch.tensor([0.29, 0.31, 0.0], dtype=torch.float64)  # the second is a step of MALA
    noise = (xi, torch.zeros(3, dtype=torch.float64), kind)

    def energy(x):
        return x[:, 0].square() / 2

    end, info = kernel.step(energy, kernel.init(energy, x), noise)
    assert end.x[:, 0].tolist() == pytest.approx([1.0, math.sqrt(2 * 0.1 * 0.5) * 0.5, 1.5])
    assert info.acceptance[[0, 2]].tolist() == pytest.approx([math.exp(-1), math.exp(-1.25)])
    usual, of_usual = MALA(0.1, temperature=0.5).step(energy, kernel.init(energy, x), noise[:2])
    assert end.x[1] == usual.x[1]
    assert info.acceptance[1] == of_usual.acceptance[1]


def test_leaps_to_a_score_that_is_not_finite_are_never_kept():
    def walled(x):
        root = torch.where(x[:, 0] > 1, x[:, 0] - x[:, 0], 1.0).sqrt()  # its score is NaN there
        return root + 0 * x[:, 0]

    kernel = MALA(0.1, leaps=1.0, leap_size=2.0)
    x = torch.zeros(1, 1, dtype=torch.float64)
    noise = (torch.ones_like(x), torch.zeros(1).double(), torch.zeros(1).double())
    end, info = kernel.step(walled, kernel.init(walled, x), noise)
    assert end.x.item() == info.acceptance.item() == 0


def test_leaps_need_a_step_size_of_their_own():
    with pytest.raises(ValueError, match="leaps need a step_size"):
        MALA("auto", leaps=0.1)
    with pytest.raises(ValueError, match="leaps need a step_size"):
        MALA(0.1, warm_up=5, leaps=0.1)
