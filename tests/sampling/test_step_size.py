"""A step size that a run fits: where it begins, how it moves, what of it is kept."""

import copy
import math

import pytest
import torch

from ebmcore import StepSize, value_of

CPU = torch.device("cpu")


class Plain:
    """A kernel whose step is in units of x."""

    def step_for(self, spread):
        return 2 * spread


def drawn(scale=1.0):
    return scale * torch.randn(2000, 1, generator=torch.Generator().manual_seed(0))


def started(scale=1.0, first=None):
    size = StepSize(first)
    size.start(Plain(), drawn(scale), CPU)
    return size


def test_it_begins_at_half_of_what_the_data_allow():
    assert float(started()) == pytest.approx(1.0, rel=0.2)  # half of 2 ℓ, and ℓ is near 1
    assert float(started(10.0)) == pytest.approx(10 * float(started()), rel=1e-6)
    assert float(started(10.0, first=0.3)) == pytest.approx(0.3)


def test_it_falls_at_once_and_rises_slowly():
    size = started()
    begun = float(size)
    size.towards(torch.tensor(0.01))
    assert float(size) == pytest.approx(0.01)
    size.towards(torch.tensor(1.0))
    assert float(size) == pytest.approx(0.011)
    for wanted in (math.nan, math.inf, 0.0, -1.0):
        held = float(size)
        size.towards(torch.tensor(wanted))
        assert float(size) == (pytest.approx(1.1 * held) if wanted == math.inf else held)
    for _ in range(200):
        size.towards(torch.tensor(1e9))
    assert float(size) == pytest.approx(size.most)
    assert size.most < 2 * begun


def test_its_state_is_kept_and_its_tensor_stays_the_same():
    size, other = started(), StepSize()
    value = size.value
    size.scale(0.5)
    size.towards(torch.tensor(0.02))
    assert size.value is value  # a compiled step holds it
    other.load_state_dict(copy.deepcopy(size.state_dict()))
    assert (float(other), other.most, other.fitted) == (float(size), size.most, True)


def test_a_number_is_itself_and_an_unfitted_one_is_refused():
    assert value_of(0.3) == 0.3
    with pytest.raises(ValueError, match="give a number"):
        value_of(StepSize())
    with pytest.raises(ValueError, match="object has no `step_for`, so its step_size can't be"):
        StepSize().start(type("object", (), {"step_for": lambda self, s: None})(), drawn(), CPU)
    StepSize().start(Plain(), torch.empty(3, 1, device="meta"), torch.device("meta"))
