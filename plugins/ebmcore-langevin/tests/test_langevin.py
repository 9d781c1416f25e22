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


def test_the_step_ratio_by_hand():
    x, xi = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.5, 3.0]])
    kernel = Langevin(step_size=0.02, temperature=0.25)
    _, info = kernel.step(quadratic(1.0), LangevinState(x), (xi,))
    expected = 0.02 * 5 / math.sqrt(2 * 0.02 * 0.25 * 2)
    torch.testing.assert_close(info.step_ratio, torch.tensor([expected]))
    clipped = Langevin(step_size=0.02, temperature=0.25, clip_score=3.0)
    _, info = clipped.step(quadratic(1.0), LangevinState(x), (xi,))
    torch.testing.assert_close(info.step_ratio, torch.tensor([expected * math.sqrt(18) / 5]))
    torch.testing.assert_close(info.score_norm, torch.tensor([5.0]))


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_the_step_ratio_is_infinite_without_noise(decay):
    x = torch.tensor([[3.0, 4.0]])
    sample = Sampler(Langevin(temperature=0.0, decay=decay), 2)(quadratic(1.0), x, None)
    assert sample.info.step_ratio.item() == math.inf
    assert sample.x.isfinite().all()


def test_decaying_steps_by_hand():
    kernel = Langevin(step_size=0.2, temperature=0.5, decay=0.6)
    x = torch.tensor([[[1.0, -2.0]], [[0.3, 0.1]]], dtype=torch.float64)

    def energy(x):
        return x.square().flatten(1).sum(1) / 2

    state, expected = kernel.init(energy, x), x
    for t in range(3):
        noise = kernel.noise(x, torch.Generator().manual_seed(t))
        state, info = kernel.step(energy, state, noise)
        eta = 0.2 * (1 + t) ** -0.6
        ratio = eta * expected.flatten(1).norm(dim=1) / math.sqrt(2 * eta * 0.5 * 2)
        expected = expected - eta * expected + math.sqrt(2 * eta * 0.5) * noise[0]
        torch.testing.assert_close(state.x, expected)
        torch.testing.assert_close(info.step_ratio, ratio)
        assert state.taken.tolist() == [t + 1, t + 1]


def test_decaying_steps_have_the_variance_of_their_recursion():
    # v ← (1 - η/s²)² v + 2ηT from v = 0, exactly; 40,000 chains, 5 standard errors
    chains, scale, temperature = 40_000, 0.7, 0.5
    kernel = Langevin(step_size=0.3, temperature=temperature, decay=0.55)
    x = Sampler(kernel, 30)(
        quadratic(scale), torch.zeros(chains, 1), torch.Generator().manual_seed(2)
    ).x
    variance = 0.0
    for t in range(30):
        eta = 0.3 * (1 + t) ** -0.55
        variance = (1 - eta / scale**2) ** 2 * variance + 2 * eta * temperature
    assert abs(x.var().item() - variance) < 5 * variance * math.sqrt(2 / (chains - 1))


def test_a_decay_takes_the_bias_away():
    # the recursion's limit is T s² for any decay in (0.5, 1], and T s²/(1 - η/(2s²)) for none
    scale, chains = 0.7, 20_000
    kernel = Langevin(step_size=0.3, decay=0.6)
    x = sample_chain(
        kernel, quadratic(scale), event_shape=(1,), n_chains=chains, n_steps=400,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    stderr = scale**2 * math.sqrt(2 / (chains - 1))
    biased = scale**2 / (1 - 0.3 / (2 * scale**2))
    assert abs(x.var().item() - scale**2) < 5 * stderr  # 0.3 (401)^-0.6 / (2 s²) is 0.8 %
    assert biased - scale**2 > 30 * stderr
    assert kernel.stationary_variance(scale) is None


@pytest.mark.parametrize(
    ("settings", "reason", "variance"),
    [
        # exp(-∫ clip): of x²/2 within ±1 and |x| - ½ beyond
        ({"clip_score": 1.0}, "its scores are clipped to ±1.0 (clip_score)", (2.1, 2.4)),
        ({"bounds": (-1.5, 1.5)}, "its chains are held in [-1.5, 1.5] (bounds)", (0.5, 0.8)),
        ({"decay": 0.55}, "its step size decays within a run (decay)", (0.9, 1.1)),
        ({}, "", (0.9, 1.1)),
    ],
)
def test_a_temperature_is_claimed_where_the_law_has_one(settings, reason, variance):
    kernel = Langevin(step_size=0.1, **settings)
    x = sample_chain(
        kernel, quadratic(1.0), event_shape=(1,), n_chains=8_000, n_steps=150,
        generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    assert variance[0] < x.var().item() < variance[1]
    assert kernel.unknown_law == reason
    assert kernel.implied_temperature == (1.0 if variance == (0.9, 1.1) else None)
    assert (kernel.stationary_variance(1.0) is None) == bool(reason)
    both = Langevin(clip_score=2.0, decay=0.5)
    assert both.implied_temperature is None
    assert both.unknown_law.count(",") == 1


@pytest.mark.parametrize("settings", [{}, {"clip_score": 0.5}, {"bounds": (-1.0, 1.0)}])
def test_without_a_decay_the_bits_are_the_plain_formulas(settings):
    kernel = Langevin(step_size=0.03, temperature=0.7, **settings)
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    noise = kernel.noise(x, torch.Generator().manual_seed(1))
    state = kernel.init(quadratic(0.5), x)
    assert state._fields == ("x",)  # nothing is carried that isn't used
    score = -torch.autograd.functional.vjp(lambda x: quadratic(0.5)(x).sum(), x)[1]
    if "clip_score" in settings:
        score = score.clamp(-0.5, 0.5)
    expected = x + 0.03 * score + math.sqrt(2 * 0.03 * 0.7) * noise[0]
    if "bounds" in settings:
        expected = expected.clamp(-1.0, 1.0)
    assert torch.equal(kernel.step(quadratic(0.5), state, noise)[0].x, expected)


def test_a_run_begins_at_the_first_step_size_again():
    kernel = Langevin(decay=1.0)
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    ends = [Sampler(kernel, 3)(quadratic(1.0), x, torch.Generator().manual_seed(1)).x] * 2
    assert torch.equal(*ends)


def test_decay_on_the_meta_device():
    x = torch.zeros(4, 2, device="meta")
    sample = Sampler(Langevin(decay=0.5, clip_score=1.0), 2)(quadratic(1.0), x, None)
    assert sample.x.device.type == "meta"
    assert all(part.shape == (4,) for part in sample.info)
