"""Energies at a temperature of each chain: by hand, in rows, replicated, and differentiated."""

import pytest
import torch
from torch import nn

from ebmcore import AtTemperature, Differentiable, energy_and_score, given, replicated

BETA, SCALE = torch.tensor([1.0, 0.5, 0.25]), torch.tensor([1.0, 2.0, 3.0])
Z = torch.tensor([[1.0, 0.0], [1.0, 2.0], [-1.0, 1.0]])


def bowl(x):
    return x.square().sum(1)


class Shifted(nn.Module):
    def forward(self, x, y):
        return (x - y[:, None]).square().sum(1)


def test_energy_and_score_by_hand():
    energy = AtTemperature(bowl, BETA, SCALE)
    values, score = energy_and_score(energy, Z)
    torch.testing.assert_close(values, torch.tensor([1.0, 10.0, 4.5]))
    torch.testing.assert_close(score, -2 * (BETA * SCALE.square())[:, None] * Z)
    torch.testing.assert_close(AtTemperature(bowl, BETA)(Z), torch.tensor([1.0, 2.5, 0.5]))
    torch.testing.assert_close(AtTemperature(bowl, None)(Z), bowl(Z))


def test_rows_and_replicas_keep_their_temperature_and_condition():
    y = torch.tensor([0.0, 1.0, 2.0])
    energy = AtTemperature(given(Shifted(), y=y), BETA, SCALE)
    rows = slice(1, 3)
    torch.testing.assert_close(energy.of_rows(rows)(Z[rows]), energy(Z)[rows])
    twice = replicated(energy, 2)(Z.repeat_interleave(2, 0))
    torch.testing.assert_close(twice, energy(Z).repeat_interleave(2))


def test_samples_can_be_differentiated_through():
    z = Z.clone().requires_grad_()
    values, score = energy_and_score(AtTemperature(Differentiable(bowl), BETA), z)
    assert values.requires_grad
    assert score.requires_grad
    assert not energy_and_score(AtTemperature(bowl, BETA), z)[1].requires_grad


def test_an_energy_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="one value per chain"):
        AtTemperature(lambda x: x, BETA)(Z)


def test_it_has_no_conditionals():
    module = Shifted()
    module.hidden_logits = None
    assert not hasattr(AtTemperature(module, BETA), "hidden_logits")
