"""Conditions bound to an energy: whose row is whose, in which type, and what stands over what."""

import pytest
import torch
from torch import nn

from ebmcore.contracts import Conditions
from ebmcore.sampling import (
    Differentiable,
    conditioned,
    conditions_bound,
    conditions_of,
    energy_alone,
    given,
    of_chains,
    one_each,
    replicated,
)

X = torch.zeros(3, 2, dtype=torch.float64)
Y = torch.tensor([1.0, 2.0, 3.0])


def energy(x, y, t=0.0):
    return y + 10 * t + 0 * x.sum(1)


class Optional(nn.Module):
    def forward(self, x, y=None, mask=None):
        self.got = y, mask
        return x.sum(1)


def test_each_event_has_a_row_and_numbers_are_repeated():
    assert one_each("y", 3, X).dtype == torch.int64
    assert one_each("t", 0.5, X).dtype == torch.float64
    assert one_each("y", torch.tensor(4), X).tolist() == [4, 4, 4]
    assert one_each("y", 3, X.to("meta")).is_meta
    for rows in (2, 4):
        with pytest.raises(ValueError, match=f"'y' for {rows} events and called with 3"):
            one_each("y", torch.zeros(rows), X)


def test_binding_adds_to_what_was_bound_and_stands_over_it():
    once = given(energy, y=Y)
    both = given(once, t=1.0)
    assert both(X).tolist() == [11, 12, 13]
    assert given(both, y=Y + 1)(X).tolist() == [12, 13, 14]
    assert once(X).tolist() == [1, 2, 3]
    assert energy_alone(both) is energy
    bound = conditions_bound(both)
    assert bound.keys() == {"y", "t"}
    bound.clear()
    assert both(X).tolist() == [11, 12, 13]
    assert conditions_of(both).required == ()
    assert set(conditions_of(both).optional) == {"t", "y"}
    assert conditions_of(energy)[:2] == (("y",), ("t",))


def test_only_required_conditions_and_masks_are_bound_unasked():
    module, mask = Optional(), torch.ones(3, 2).bool()
    conditioned(module, y=Y, mask=mask)(X)
    assert module.got == (None, mask)
    assert conditioned(energy, y=Y, t=5.0)(X).tolist() == [1, 2, 3]
    of_chains(module, Conditions(None, mask))(X)
    assert module.got == (None, mask)
    assert of_chains(energy, Conditions(Y, mask))(X).tolist() == [1, 2, 3]


def test_replicas_have_the_condition_of_their_chain():
    many = replicated(Differentiable(given(energy, y=Y, t=1)), 2)
    assert isinstance(many, Differentiable)
    assert many(torch.zeros(6, 2)).tolist() == [11, 11, 12, 12, 13, 13]
    assert given(Differentiable(energy), y=Y).keeps_graph
    assert not given(energy, y=Y).keeps_graph


def test_energies_whose_signature_says_little():
    def takes_any(x, **conditions):
        return conditions["y"] + 0 * x.sum(1)

    assert conditions_of(takes_any) == ((), ("y", "t", "mask"), ())
    assert given(takes_any, y=Y)(X).tolist() == [1, 2, 3]
    assert conditioned(takes_any, y=Y) is takes_any
    assert conditions_of(min) is None
    assert conditioned(min, y=Y) is min
