"""Potts against its formula, term by term, on all events of 3 by 3 sites of 3 categories."""

import pytest
import torch
from ebmcore_discrete import Ising, Potts
from ebmcore_discrete.graphs.edges import lattice

from ebmcore import Binary, Categorical


def sites(shape=(3, 3), k=3, **keys):
    potts = Potts(event_shape=shape, space=Categorical(k), **keys).double()
    with torch.no_grad():
        for part in (potts.couplings.values, potts.field):
            part.normal_(0, 0.7, generator=torch.Generator().manual_seed(0))
    return potts


def test_the_energy_is_the_sum_of_its_terms(exact):
    potts, x = sites(), exact.events(3, (3, 3)).long()
    flat, expected = x.flatten(1), 0
    with torch.no_grad():
        for (i, j), coupling in zip(lattice((3, 3)).T, potts.couplings.values, strict=True):
            expected = expected - coupling * (flat[:, i] == flat[:, j])
        for site in range(9):
            expected = expected - potts.field[site][flat[:, site]]
        torch.testing.assert_close(potts(x), expected)
        one_hot = torch.nn.functional.one_hot(x, 3)
        assert torch.equal(potts(one_hot.double()), potts(x))
        torch.testing.assert_close(potts.log_z(), torch.logsumexp(-expected, 0))


def test_site_logits_are_the_conditionals(exact):
    potts, x = sites((2, 2)), exact.events(3, (2, 2)).long()
    with torch.no_grad():
        found = potts.site_logits(x).flatten(1, 2).log_softmax(2)
        for site in range(4):
            values = [x.flatten(1).index_fill(1, torch.tensor(site), v) for v in range(3)]
            logits = torch.stack([-potts(at.reshape(x.shape)) for at in values], 1)
            torch.testing.assert_close(found[:, site], logits.log_softmax(1))


def test_two_categories_are_spins(exact):
    x = exact.events(2, (3, 3))
    ising = Ising(sigma=0.2, event_shape=(3, 3)).double()
    potts = Potts(coupling=0.8, event_shape=(3, 3), space=Categorical(2)).double()
    difference = ising(x) - potts(x.long())
    torch.testing.assert_close(difference, difference[:1].expand(len(x)))


def test_draws_are_exact(seeded):
    potts, n = sites((2, 3)), 40_000
    x = potts.sample(n, seeded)
    Categorical(3).check(x)
    (expected,) = torch.autograd.grad(potts.log_z(), potts.field)  # P(xᵢ = v)
    found = torch.nn.functional.one_hot(x.flatten(1), 3).double().mean(0)
    assert ((found - expected).abs() < 5 * (expected * (1 - expected) / n).sqrt()).all()


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="takes categorical events; got a space that is binary"):
        Potts(event_shape=(3,), space=Binary())
    with pytest.raises(ValueError, match=r"there are 3\^20"):
        sites((20,)).log_z()
    with pytest.raises(ValueError, match=r"should have shape \(3, 3, 3\); got \(3, 3\)"):
        sites()(torch.zeros(1, 3, 3).double())
