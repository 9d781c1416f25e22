"""Running kernels: counts, traces, and what must not change."""

import pytest
import torch
from torch import nn

from ebmcore import (
    Binary,
    Differentiable,
    Kernel,
    Real,
    Sample,
    Sampler,
    Trace,
    energy_and_score,
    sample_chain,
)
from ebmcore.sampling import as_kernel, evaluating


class Counter(Kernel):
    """x grows by one a step; the noise is drawn, and added times a factor."""

    def __init__(self, noise=0.0):
        self.factor = noise

    def init(self, energy, x):
        from collections import namedtuple

        return namedtuple("State", "x")(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),)

    def step(self, energy, state, noise):
        from collections import namedtuple

        new = type(state)(state.x + 1 + self.factor * noise[0])
        return new, namedtuple("Info", "energy")(energy(state.x))


def flat(x):
    return x.flatten(1).sum(1)


@pytest.mark.parametrize("burn_in", [0, 3])
def test_steps_are_counted(burn_in):
    x = sample_chain(Counter(), flat, torch.zeros(4, 2), n_steps=5, burn_in=burn_in)
    assert torch.equal(x, torch.full((4, 2), 5.0 + burn_in))


def test_a_trace_keeps_every_thinth():
    x, trace = sample_chain(
        Counter(), flat, torch.zeros(4, 2), n_steps=7, burn_in=1, thin=3, trace=True
    )
    assert isinstance(trace, Trace)
    assert trace.x.shape == (2, 4, 2)
    assert trace.x[:, 0, 0].tolist() == [4, 7]
    assert trace.info.energy.shape == (2, 4)
    assert trace.info.energy[:, 0].tolist() == [2 * 3, 2 * 6]  # where the kept step began
    assert x[0, 0].item() == 8


def test_a_trace_changes_no_draw():
    draws = [
        sample_chain(Counter(0.5), flat, torch.zeros(3, 2), n_steps=6,
                     generator=torch.Generator().manual_seed(1), **options)
        for options in ({}, {"trace": True}, {"trace": True, "thin": 4})
    ]  # fmt: skip
    assert torch.equal(draws[0], draws[1][0])
    assert torch.equal(draws[0], draws[2][0])


def test_a_plain_function_is_a_sampler_and_an_energy():
    x = sample_chain(
        lambda energy, x, generator: x - 0.5 * -energy_and_score(energy, x)[1],
        lambda x: (x**2).sum(-1),
        event_shape=(2,),
        n_chains=3,
        n_steps=1,
    )
    assert torch.equal(x, torch.zeros(3, 2))


def test_energy_and_score_by_hand():
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    values, score = energy_and_score(lambda x: x[:, 0] ** 2 + 3 * x[:, 1], x)
    assert values.tolist() == [7.0, 6.0]
    assert score.tolist() == [[-2.0, -3.0], [-6.0, -3.0]]
    assert not x.requires_grad


def test_the_score_works_where_gradients_are_off():
    with torch.no_grad():
        assert energy_and_score(lambda x: (x**2).sum(-1), torch.ones(1, 1))[1].item() == -2.0


def test_an_energy_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"one value per chain, shape \(8,\); got \(8, 1\)"):
        energy_and_score(lambda x: x.sum(-1, keepdim=True), torch.zeros(8, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 0}, "n_steps should be at least 1; got 0"),
        ({"n_steps": 2, "thin": 3, "trace": True}, "thin should be at most n_steps, 2"),
        ({"burn_in": -1}, "burn_in"),
        ({"n_chains": 0}, "n_chains"),
    ],
)
def test_counts_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        sample_chain(Counter(), flat, event_shape=(2,), **options)


def test_where_chains_begin_must_be_said():
    with pytest.raises(ValueError, match="give start points"):
        sample_chain(Counter(), flat)


def test_a_space_is_the_kernels_and_holds_where_chains_begin():
    for space, match in (
        (Binary(), "moves in real events, and the space"),
        (Real(2, 3), "is 0, but"),
    ):
        with pytest.raises(ValueError, match=match):
            sample_chain(Counter(), flat, torch.zeros(3, 2), space=space, n_steps=1)
    with pytest.raises(ValueError, match=r"floating-point numbers; got torch\.int64"):
        sample_chain(Counter(), flat, torch.zeros(3, 2).long(), n_steps=1)


def test_chains_begin_in_the_energys_dtype_and_device():
    energy = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).double()
    x = sample_chain(Counter(), energy, event_shape=(2,), n_chains=3, n_steps=1)
    assert x.dtype == torch.float64


class Whole:
    def sample(self, energy, x, n_steps, generator):
        x += n_steps  # in place: on a copy of the caller's
        return Sample(x, "info")


def test_a_sampler_that_offers_sample_whole():
    x = torch.zeros(2, 1)
    found = Sampler(Whole(), 4)(flat, x, None)
    assert found.x.tolist() == [[4.0], [4.0]]
    assert found.info == "info"
    assert x.tolist() == [[0.0], [0.0]]


def test_what_is_no_sampler_is_refused():
    with pytest.raises(TypeError, match="a sampler is a Kernel"):
        as_kernel(3)


def test_a_sampler_that_loses_chains_is_refused():
    with pytest.raises(ValueError, match=r"turned chains of \(3, 2\) into \(1, 2\)"):
        Sampler(as_kernel(lambda energy, x, generator: x[:1]), 1)(flat, torch.zeros(3, 2), None)


def test_modes_come_back_even_after_an_error():
    module = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    module[1].eval()
    seen = []

    def look():
        with evaluating(module):
            seen.extend(m.training for m in module.modules())
            raise KeyError

    with pytest.raises(KeyError):
        look()
    assert not any(seen)
    assert [m.training for m in module.modules()] == [True, True, False, False]


def test_a_differentiable_energy_is_sampled_through():
    # two steps x ← x - η w x on E = ½ w x²: x₂ = (1 - η w)² x₀, dx₂/dw = -2η (1 - η w) x₀
    weight = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    start = torch.tensor([[2.0], [-1.0]], dtype=torch.float64)

    def energy(x):
        return 0.5 * weight * x.square().sum(1)

    x = start
    for _ in range(2):
        x = x + 0.1 * energy_and_score(Differentiable(energy), x)[1]
    torch.testing.assert_close(x, 0.7**2 * start)
    (gradient,) = torch.autograd.grad(x.sum(), weight)
    assert gradient.item() == pytest.approx(-2 * 0.1 * 0.7 * 1.0)
    assert not start.requires_grad
    values, score = energy_and_score(energy, start)
    assert not values.requires_grad
    assert not score.requires_grad


def test_recurrent_layers_are_sampled_without_cudnn():
    seen = []

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.LSTM(1, 2, batch_first=True)

        def forward(self, x):
            seen.append(torch.backends.cudnn.enabled)
            return self.layer(x)[0].flatten(1).sum(1)

    before = torch.backends.cudnn.enabled
    sample_chain(Counter(), Recurrent(), torch.zeros(3, 4, 1), n_steps=1)
    with evaluating(nn.Linear(1, 1)):
        assert torch.backends.cudnn.enabled == before
    assert seen == [False]
    assert torch.backends.cudnn.enabled == before
