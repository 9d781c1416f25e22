"""Langevin against its own law, bias included, and one step by hand."""

import math

import pytest
import torch
from ebmcore_langevin import Langevin
from ebmcore_langevin.kernels import LangevinState
from torch import nn

from ebmcore import Sampler, sample_chain


def quadratic(scale):
    return lambda x: (x**2).sum(-1) / (2 * scale**2)


def test_one_step_by_hand():
    kernel = Langevin(step_size=0.02, temperature=0.25)
    x = torch.tensor([[1.0, -2.0]])
    xi = torch.tensor([[0.5, 3.0]])
    state, info = kernel.step(quadratic(0.5), LangevinState(x), (xi,))
    expected = x - 0.02 * x / 0.25 + math.sqrt(2 * 0.02 * 0.25) * xi
    torch.testing.assert_close(state.x, expected)
    torch.testing.assert_close(info.energy, torch.tensor([5.0 / 0.5]))
    torch.testing.assert_close(info.score_norm, torch.tensor([math.sqrt(5.0) / 0.25]))


@pytest.mark.parametrize("step_size", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_stationary_variance_on_a_gaussian(step_size, temperature):
    # 40,000 independent chains; 5 standard errors of a variance: a false alarm in 1.7 million
    scale, chains = 0.7, 40_000
    x = sample_chain(
        Langevin(step_size=step_size, temperature=temperature),
        quadratic(scale),
        event_shape=(1,),
        n_chains=chains,
        n_steps=200,
        generator=torch.Generator().manual_seed(1),
    )
    expected = temperature * scale**2 / (1 - step_size / (2 * scale**2))
    stderr = expected * math.sqrt(2 / (chains - 1))
    assert abs(x.var().item() - expected) < 5 * stderr
    assert abs(x.mean().item()) < 5 * math.sqrt(expected / chains)


def test_clip_score_bounds_each_element():
    kernel = Langevin(step_size=0.1, temperature=0.0, clip_score=2.0)
    state, info = kernel.step(
        quadratic(0.1), LangevinState(torch.tensor([[1.0, 0.01]])), (torch.zeros(1, 2),)
    )
    torch.testing.assert_close(state.x, torch.tensor([[1.0 - 0.1 * 2.0, 0.01 - 0.1 * 1.0]]))
    assert info.score_norm.item() > 100  # the score itself, before it was clipped


def test_bounds_hold():
    x = sample_chain(
        Langevin(step_size=0.5, bounds=(-0.1, 0.3)), quadratic(1.0), event_shape=(2,), n_chains=500,
        n_steps=5, generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert x.min().item() == pytest.approx(-0.1)
    assert x.max().item() == pytest.approx(0.3)


def test_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match=r"\[lowest, highest\]; got \[1.0, 0.0\]"):
        Langevin(bounds=(1.0, 0.0))


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(0.5)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.weight * self.dropout(x**2).sum(-1)


def test_one_gradient_a_step_and_the_energy_is_left_as_it_was():
    energy = Counting()
    energy.dropout.eval()  # a mode of its own, which must come back too
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    Sampler(Langevin(), 7)(energy, x, torch.Generator().manual_seed(0))
    assert energy.calls == 7
    assert energy.weight.grad is None
    assert energy.training
    assert not energy.dropout.training
    assert torch.equal(x, before)


def test_it_draws_from_its_generator_alone():
    state = torch.get_rng_state()
    draws = [
        sample_chain(Langevin(), quadratic(1.0), event_shape=(2,), n_chains=4, n_steps=3,
                     generator=torch.Generator().manual_seed(5))
        for _ in range(2)
    ]  # fmt: skip
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_meta_device():
    x = torch.zeros(4, 2, device="meta")
    sample = Sampler(Langevin(clip_score=1.0, bounds=(0, 1)), 2)(quadratic(1.0), x, None)
    assert sample.x.device.type == "meta"
    assert sample.x.shape == (4, 2)
