"""MALA against laws that it keeps exactly, whatever its step, and one step by hand."""

import math

import pytest
import torch
from ebmcore_langevin import MALA, MALAState
from torch import nn

from ebmcore import Differentiable, Sampler, sample_chain
from ebmcore.testing import from_law

# One comparison with a law rejects what is right once in a million times.
# Moments are held to 5 standard errors: once in 1.7 million times.


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


WEIGHTS = torch.tensor([0.35, 0.65], dtype=torch.float64)
MEANS = torch.tensor([[-1.2, 0.0], [1.3, 1.0]], dtype=torch.float64)
SCALES = torch.tensor([0.5, 0.8], dtype=torch.float64)


def mixture(x):
    """E = -log of two round Gaussians of the plane, up to a constant."""
    squares = (x[:, None] - MEANS).square().sum(-1)
    return -torch.logsumexp(WEIGHTS.log() - 2 * SCALES.log() - squares / (2 * SCALES**2), 1)


def mixture_cdf(axis):
    return lambda x: (torch.special.ndtr((x[:, None] - MEANS[:, axis]) / SCALES) * WEIGHTS).sum(-1)


def mixture_draws(n, seed):
    left = torch.rand(n, generator=seeded(seed), dtype=torch.float64) < WEIGHTS[0]
    which = torch.where(left, 0, 1)
    return MEANS[which] + SCALES[which, None] * normal(n, 2, seed + 1)


@pytest.mark.parametrize("step_size", [0.1, 0.4])
def test_a_mixture_from_exact_draws(step_size):
    x = sample_chain(
        MALA(step_size), mixture, mixture_draws(10_000, 1), n_steps=20, generator=seeded(3)
    )
    assert from_law(x[:, 0], mixture_cdf(0)).share < 1
    assert from_law(x[:, 1], mixture_cdf(1)).share < 1


def test_a_mixture_from_elsewhere():
    x = torch.tensor([3.0, -2.0], dtype=torch.float64).expand(2000, 2)
    x = sample_chain(MALA(0.3), mixture, x, n_steps=600, generator=seeded(3))
    assert from_law(x[:, 0], mixture_cdf(0)).share < 1
    assert from_law(x[:, 1], mixture_cdf(1)).share < 1


def rosenbrock(x):
    return (1 - x[:, 0]).square() + 2 * (x[:, 1] - x[:, 0].square()).square()


def moments(x):
    a, b = x.unbind(-1)
    return torch.stack([a, a**2, b, b**2, a * b], -1)


def rosenbrock_moments():
    """Return the moments by quadrature over a grid that holds all but 1e-9 of the mass."""
    a = torch.linspace(-4, 6, 501, dtype=torch.float64)
    b = torch.linspace(-4, 40, 1761, dtype=torch.float64)
    grid = torch.cartesian_prod(a, b)
    return torch.softmax(-rosenbrock(grid), 0) @ moments(grid)


def rosenbrock_draws(n, seed):
    z = normal(n, 2, seed)
    a = 1 + math.sqrt(0.5) * z[:, 0]
    return torch.stack([a, a**2 + 0.5 * z[:, 1]], 1)


@pytest.mark.parametrize("exact", [True, False])
def test_the_moments_of_rosenbrock(exact):
    if exact:
        x, n_steps = rosenbrock_draws(10_000, 1), 20
    else:
        x, n_steps = torch.tensor([-1.5, 0.0], dtype=torch.float64).expand(2000, 2), 1500
    x = sample_chain(MALA(0.12), rosenbrock, x, n_steps=n_steps, generator=seeded(2))
    found = moments(x)
    stderr = found.std(0) / math.sqrt(len(x))
    assert ((found.mean(0) - rosenbrock_moments()).abs() < 5 * stderr).all()


@pytest.mark.parametrize("exact", [True, False])
def test_a_gaussian_of_condition_number_100(exact):
    angle = math.pi / 6
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turn, scales = turn.double(), torch.tensor([1.0, 10.0], dtype=torch.float64)

    def energy(x):
        return 0.5 * ((x @ turn) / scales).square().sum(1)

    if exact:
        x, n_steps = (normal(10_000, 2, 1) * scales) @ turn.T, 20
    else:
        x, n_steps = torch.tensor([10.0, -4.0], dtype=torch.float64).expand(2000, 2), 1000
    x = sample_chain(MALA(0.9), energy, x, n_steps=n_steps, generator=seeded(2))
    z = (x @ turn) / scales
    for axis in (0, 1):
        assert from_law(z[:, axis], torch.special.ndtr).share < 1
    assert abs(z.prod(1).mean().item()) < 5 / math.sqrt(len(z))


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_one_step_by_hand(temperature):
    """The acceptance from the densities p and q as they stand, in numbers of Python's own."""
    eta = 0.4

    def energy(x):
        return x**4 / 4 - x

    def log_q(end, begin):
        mean = begin - eta * (begin**3 - 1)
        return -((end - mean) ** 2) / (4 * eta * temperature)

    x, xi = [0.3, -1.0, 1.2], [2.5, -0.7, 1.4]
    ends, wanted = [], []
    for a, noise in zip(x, xi, strict=True):
        b = a - eta * (a**3 - 1) + math.sqrt(2 * eta * temperature) * noise
        log_p = (energy(a) - energy(b)) / temperature
        ends.append(b)
        wanted.append(min(1.0, math.exp(log_p + log_q(a, b) - log_q(b, a))))
    assert 0 < min(wanted) < 0.9  # so that it differs from 1

    kernel = MALA(eta, temperature=temperature)
    at = torch.tensor(x, dtype=torch.float64)[:, None]
    state = kernel.init(lambda x: energy(x[:, 0]), at)
    noise = torch.tensor(xi, dtype=torch.float64)[:, None]
    wanted = torch.tensor(wanted, dtype=torch.float64)
    # a uniform number just under the acceptance keeps the proposal, one at it doesn't
    for uniform, kept in ((wanted * (1 - 1e-9), True), (wanted * (1 + 1e-9), False)):
        end, info = kernel.step(lambda x: energy(x[:, 0]), state, (noise, uniform))
        torch.testing.assert_close(info.acceptance, wanted)
        accepted = torch.full((3,), kept)
        torch.testing.assert_close(info.accepted, accepted.double())
        moved = torch.where(accepted, torch.tensor(ends, dtype=torch.float64), at[:, 0])
        torch.testing.assert_close(end.x[:, 0], moved)
        torch.testing.assert_close(end.energy, energy(end.x[:, 0]))
        torch.testing.assert_close(end.score, 1 - end.x**3)
    torch.testing.assert_close(info.energy, energy(at[:, 0]))
    torch.testing.assert_close(info.score_norm, (1 - at[:, 0] ** 3).abs())
    ratio = eta * info.score_norm / math.sqrt(2 * eta * temperature)
    torch.testing.assert_close(info.step_ratio, ratio)


def test_the_accepted_share_is_the_mean_acceptance():
    # 20,000 coins of the acceptances' own biases: 5 standard errors, at most √(1/(4n)) each
    x = normal(20_000, 2, 1)
    kernel = MALA(1.0)
    state = kernel.init(lambda x: 0.5 * x.square().sum(1), x)
    noise = kernel.noise(x, seeded(2))
    _, info = kernel.step(lambda x: 0.5 * x.square().sum(1), state, noise)
    gap = (info.accepted - info.acceptance).mean().item()
    assert abs(gap) < 5 * math.sqrt(0.25 / 20_000)
    assert set(info.accepted.unique().tolist()) == {0.0, 1.0}


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x.square().sum(-1)


def test_one_gradient_a_step_and_one_to_begin():
    energy = Counting()
    Sampler(MALA(), 7)(energy, torch.zeros(8, 2), seeded(0))
    assert energy.calls == 7 + 1


def walled(x):
    """E = x²/2 where x < 1, and beyond each wall another thing that isn't finite."""
    z = x[:, 0]
    flat = z.square() / 2
    beyond = torch.where(z < 2, math.inf, torch.where(z < 3, math.nan, -math.inf))
    smooth = torch.where(z < 1, flat, beyond)
    root = torch.where(z < -1, z - z, 1.0).sqrt()
    return torch.where(z < -1, 1 + root, smooth)  # finite, but its score is NaN where z < -1


@pytest.mark.parametrize("end", [1.5, 2.5, 3.5, -1.5])
def test_a_proposal_that_is_not_finite_is_never_kept(end):
    kernel = MALA(0.5)
    x = torch.zeros(1, 1, dtype=torch.float64)
    state = kernel.init(walled, x)
    xi = torch.full_like(x, end)  # √(2ηT) = 1, and the score at 0 is 0
    moved, info = kernel.step(walled, state, (xi, torch.zeros(1, dtype=torch.float64)))
    assert torch.equal(moved.x, x)
    assert moved.energy.isfinite().all()
    assert moved.score.isfinite().all()
    assert info.acceptance.item() == info.accepted.item() == 0


@pytest.mark.parametrize("begin", [1.5, 2.5, 3.5])
def test_a_chain_that_begins_at_a_wall_stays_and_shows_it(begin):
    x = torch.full((1, 1), begin, dtype=torch.float64)
    sample = Sampler(MALA(0.5), 5)(walled, x, seeded(0))
    assert torch.equal(sample.x, x)
    assert not sample.info.energy.isfinite().any()


def test_a_gradient_flows_through_a_step_that_is_kept():
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    x = normal(4, 2, 1)
    kernel = MALA(0.1)
    noise = (normal(4, 2, 2), torch.zeros(4, dtype=torch.float64))

    def end(weight):
        energy = Differentiable(lambda x: weight * x.square().square().sum(1))
        return kernel.step(energy, kernel.init(energy, x), noise)[0].x.sum()

    (found,) = torch.autograd.grad(end(weight), weight)
    width = 1e-6
    wanted = (end(weight.detach() + width) - end(weight.detach() - width)) / (2 * width)
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-6, atol=1e-8)


def test_meta_device():
    x = torch.zeros(4, 3, 2, device="meta")
    sample = Sampler(MALA(), 2)(lambda x: x.square().flatten(1).sum(1), x, None)
    assert sample.x.device.type == "meta"
    assert sample.x.shape == (4, 3, 2)
    assert all(part.shape == (4,) for part in sample.info)


def test_the_state_begins_with_x():
    assert MALAState._fields[0] == "x"
