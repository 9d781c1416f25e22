import math
from typing import NamedTuple

import pytest
import torch
from ebmcore_monitors.statistics.signals import step_lengths
from torch import Tensor


def bowl(x):
    return 0.5 * x.square().flatten(1).sum(1)


def test_signals_of_a_step_by_hand(langevin):
    x = torch.tensor([[3.0, 4.0], [0.0, 10.0]]).repeat(5000, 1)
    found = step_lengths(langevin, bowl, x, torch.Generator().manual_seed(0))
    assert found.gradient == pytest.approx(0.1 * (5 + 10) / 2, rel=1e-6)
    # √(2ηT) times the length of a 2-D normal, mean √(π/2), variance 2 - π/2; 4 standard errors
    unit = math.sqrt(2 * 0.1 * 0.5)
    error = unit * math.sqrt((2 - math.pi / 2) / len(x))
    assert found.noise == pytest.approx(unit * math.sqrt(math.pi / 2), abs=4 * error)


def test_no_signals_of_samplers_that_hide_or_reject_steps(langevin):
    class Acceptance(NamedTuple):
        acceptance: Tensor

    class Adjusted(type(langevin)):
        def step(self, energy, state, noise):
            state, info = super().step(energy, state, noise)
            return state, Acceptance(torch.ones_like(info.score_norm))

    class Whole:
        def sample(self, energy, x, n_steps, generator):
            return x

    x, g = torch.ones(4, 2), torch.Generator()
    assert step_lengths(Whole(), bowl, x, g) is None
    assert step_lengths(Adjusted(), bowl, x, g) is None
    assert step_lengths(None, bowl, x, g) is None
