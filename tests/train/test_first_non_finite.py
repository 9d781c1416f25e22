"""The first number that isn't finite, by step and by part; and a state that is finite."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ebmcore.train.divergence import beyond_bound, first_non_finite, infinite_buffers, is_finite

PARTS = SimpleNamespace(networks={"shift": None}, losses=(), label=lambda kind: f"the {kind}")


def test_the_earliest_step_and_the_first_part_are_named():
    columns = {
        "train/shift/grad_norm": [1.0, math.nan, 1.0],
        "loss": [1.0, -math.inf, 1.0],
        "loss/gap": [2.0, math.nan, 1.0],
        "samples": [3.0, math.nan, math.nan],
    }
    found = first_non_finite(PARTS, columns, [7, 8, 9], {})
    assert (found.step, found.text) == (8, "samples of the sampler is nan")
    del columns["samples"]
    found = first_non_finite(PARTS, columns, [7, 8, 9], {})
    assert found.text == "loss/gap of training is nan; 2 a step before"
    first = {"loss": [math.inf], "train/grad_norm": [math.nan]}
    found = first_non_finite(PARTS, first, [4], {"loss": 0.5})
    assert found.text == "loss of training is inf; 0.5 a step before"
    assert first_non_finite(PARTS, {"loss": [1e300]}, [1], {}) is None


@pytest.mark.parametrize(
    ("largest", "bound", "text"),
    [
        (10.0, 10.0, None),
        (10.01, 10.0, "is 10.01 nats from 0; train.max_energy is 10"),
        (1e30, None, None),
        (math.inf, None, "is inf"),
        (math.nan, 10.0, "is nan"),
    ],
)
def test_energies_beyond_a_bound(largest, bound, text):
    found = beyond_bound(PARTS, {"data": 1.0, "samples": largest}, bound, 3)
    assert (found is None) == (text is None)
    if found:
        assert found.step == 3
        assert text in found.text
        assert "samples" in found.text


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
        self.register_buffer("count", torch.tensor([4]))


def test_a_state_is_finite_if_all_of_it_is():
    energy, network, held = Masked(), nn.Linear(2, 2), {"x": torch.zeros(2), "slots": torch.ones(1)}
    chains = SimpleNamespace(state_dict=lambda: held)
    parts = SimpleNamespace(energy=energy, networks={"shift": network}, chains=chains)
    besides = infinite_buffers(energy)
    assert besides == {"mask"}
    assert is_finite(parts, besides)
    assert not is_finite(parts)
    for tensor in (energy.weight, network.bias, held["x"]):
        with torch.no_grad():
            before = tensor[0].clone()
            tensor[0] = math.nan
            assert not is_finite(parts, besides)
            tensor[0] = before
    assert is_finite(parts, besides)
