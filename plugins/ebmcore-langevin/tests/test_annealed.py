"""Annealed Langevin: one step by hand, the law of its whole run, and what it refuses."""

import math

import pytest
import torch
from ebmcore_langevin import Annealed, Langevin
from torch import nn

from ebmcore import sample_chain
from ebmcore.sampling import init_state

STEP, SCALE = 0.02, 0.5


class Levels(nn.Module):
    """E(x, t) = ‖x‖² / 2(s² + t²), whose levels have the laws of N(0, s²) convolved with each."""

    def __init__(self, event=1):
        super().__init__()
        self.register_buffer("sigmas", torch.tensor([2.0, 0.8, 0.2], dtype=torch.float64))
        self.seen = []

    def forward(self, x, t):
        self.seen.append(t)
        return x.square().sum(1) / (2 * (SCALE**2 + t**2))


@pytest.mark.parametrize("rescale", [True, False])
def test_levels_fall_over_a_run_and_one_step_is_by_hand(rescale):
    energy, kernel = Levels(), Annealed(Langevin(step_size=STEP), rescale=rescale)
    x = torch.tensor([[1.0], [-3.0]], dtype=torch.float64)
    state = init_state(kernel, energy, x, n_steps=7)
    noise = (torch.tensor([[0.5], [-1.0]], dtype=torch.float64),)
    for sigma in (2.0, 2.0, 2.0, 0.8, 0.8, 0.2, 0.2, 0.2, 0.2):  # and beyond the run
        h = STEP * ((sigma / 0.2) ** 2 if rescale else 1)
        expected = state.x - h * state.x / (SCALE**2 + sigma**2) + math.sqrt(2 * h) * noise[0]
        state, info = kernel.step(energy, state, noise)
        torch.testing.assert_close(state.x, expected)
        assert info.energy.shape == (2,)


def test_the_law_of_a_run_is_its_recursion():
    n, steps = 20_000, 30
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    end = sample_chain(
        Annealed(Langevin(step_size=STEP)), Levels(), x, n_steps=steps, generator=generator
    )
    variance = 9.0
    for sigma in [2.0] * 10 + [0.8] * 10 + [0.2] * 10:
        h = STEP * (sigma / 0.2) ** 2
        variance = (1 - h / (SCALE**2 + sigma**2)) ** 2 * variance + 2 * h
    stderr = variance * math.sqrt(2 / n)
    assert abs(end.var().item() - variance) < 5 * stderr


def test_what_it_cannot_anneal_is_refused():
    assert Annealed(Langevin(bounds=(0, 1))).implied_temperature is None
    assert Annealed(Langevin()).anneals
    assert Annealed(Langevin(bounds=(0, 1))).unknown_law.endswith("held in [0, 1] (bounds)")
    with pytest.raises(ValueError, match="an energy with noise levels, `sigmas`"):
        sample_chain(Annealed(Langevin()), lambda x: x.square().sum(1), torch.zeros(2, 1))
    with pytest.raises(ValueError, match="two positive numbers or more"):
        Annealed(Langevin(), temperatures=[2.0, 0.0])
    with pytest.raises(ValueError, match="step_size at several"):
        Annealed(Langevin(step_size="auto"))
