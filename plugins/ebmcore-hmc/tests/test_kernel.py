"""One step of HMC by hand, its acceptance, masses and gradients, and the funnel where it fails."""

import math

import pytest
import torch
from ebmcore_hmc import HMC
from torch import nn

from ebmcore import Differentiable, Sampler, sample_chain
from ebmcore.testing import from_law

# A comparison with a distribution rejects a correct sampler once in a million times,
# moments within 5 standard errors once in 1.7 million times.


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_masses_undo_scales(temperature):
    """With m = 1/s² the chains of N(0, s²) are, step for step, s times those of N(0, 1)."""
    scales = torch.tensor([1.0, 10.0, 0.2], dtype=torch.float64)
    keys = {"leapfrog": 3, "temperature": temperature}
    z = normal(50, 3, 1)
    kernel = HMC(1.5, **keys)
    wanted = Sampler(kernel, 5)(lambda z: 0.5 * z.square().sum(1), z, seeded(2))
    kernel = HMC(1.5, mass=(1 / scales**2).tolist(), **keys)
    found = Sampler(kernel, 5)(lambda x: 0.5 * (x / scales).square().sum(1), z * scales, seeded(2))
    assert 0 < wanted.info.accepted.mean().item() < 1
    torch.testing.assert_close(found.x / scales, wanted.x, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.info.energy_error, wanted.info.energy_error)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_one_step_by_hand(temperature):
    """E = x⁴/4 - x with mass 2 and two leapfrog steps, in numbers of Python's own."""
    eps, mass = 0.6, 2.0

    def energy(x):
        return x**4 / 4 - x

    xs, xis = [0.3, -1.0, 1.2], [2.5, -0.7, 1.9]
    ends, errors = [], []
    for x, xi in zip(xs, xis, strict=True):
        p = math.sqrt(mass * temperature) * xi
        before = energy(x) + p * p / (2 * mass)
        for _ in range(2):
            p += 0.5 * eps * (1 - x**3)
            x += eps * p / mass
            p += 0.5 * eps * (1 - x**3)
        ends.append(x)
        errors.append(energy(x) + p * p / (2 * mass) - before)
    wanted = torch.tensor([min(1.0, math.exp(-e / temperature)) for e in errors]).double()
    assert 0 < wanted.min() < 0.95  # so that it differs from 1

    kernel = HMC(eps, leapfrog=2, mass=mass, temperature=temperature)
    at = torch.tensor(xs, dtype=torch.float64)[:, None]
    state = kernel.init(lambda x: energy(x[:, 0]), at)
    noise = torch.tensor(xis, dtype=torch.float64)[:, None]
    exact = torch.tensor([math.exp(-e / temperature) for e in errors]).double().clamp(max=1)
    for factor in (0.999, 1.001):  # of the acceptance: kept just under it, not just over it
        end, info = kernel.step(lambda x: energy(x[:, 0]), state, (noise, exact * factor))
        torch.testing.assert_close(info.acceptance, wanted, rtol=1e-6, atol=0)
        torch.testing.assert_close(info.energy_error, torch.tensor(errors, dtype=torch.float64))
        accepted = torch.full((3,), factor < 1)
        assert torch.equal(info.accepted, accepted.double())
        moved = torch.where(accepted, torch.tensor(ends, dtype=torch.float64), at[:, 0])
        torch.testing.assert_close(end.x[:, 0], moved)
        torch.testing.assert_close(end.energy, energy(end.x[:, 0]))
        torch.testing.assert_close(end.score, 1 - end.x**3)
    torch.testing.assert_close(info.energy, energy(at[:, 0]))
    torch.testing.assert_close(info.score_norm, (1 - at[:, 0] ** 3).abs())
    assert info.step_size.tolist() == [eps] * 3
    assert info.divergent.tolist() == [0.0] * 3


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x.square().sum(-1)


def test_l_gradients_a_step_and_one_to_begin():
    energy = Counting()
    Sampler(HMC(leapfrog=4), 7)(energy, torch.zeros(8, 2), seeded(0))
    assert energy.calls == 7 * 4 + 1


def walled(x):
    """E = x²/2 where x < 1, and beyond each wall another thing that isn't finite."""
    z = x[:, 0]
    flat = z.square() / 2
    beyond = torch.where(z < 2, math.inf, torch.where(z < 3, math.nan, -math.inf))
    smooth = torch.where(z < 1, flat, beyond)
    root = torch.where(z < -1, z - z, 1.0).sqrt()
    return torch.where(z < -1, 1 + root, smooth)  # finite, but its score is NaN where z < -1


@pytest.mark.parametrize("end", [1.5, 2.5, 3.5, -1.5])
def test_a_proposal_that_is_not_finite_diverges_and_is_rejected(end):
    kernel = HMC(0.5, leapfrog=1)
    x = torch.zeros(1, 1, dtype=torch.float64)
    state = kernel.init(walled, x)
    xi = torch.full_like(x, end / 0.5)  # x' = ε ξ: the score at 0 is 0
    moved, info = kernel.step(walled, state, (xi, torch.zeros(1, dtype=torch.float64)))
    assert torch.equal(moved.x, x)
    assert moved.energy.isfinite().all()
    assert moved.score.isfinite().all()
    assert info.divergent.item() == 1
    assert info.acceptance.item() == info.accepted.item() == 0


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_a_rise_of_more_than_1000_is_divergent(temperature):
    """E = a x², from 0 by x' = ε ξ = 1 with p' = p - ε a: ΔH = a + ((p - εa)² - p²)/2 = ε² a²/2."""
    kernel = HMC(1.0, leapfrog=1, temperature=temperature)
    x = torch.zeros(1, 1, dtype=torch.float64)
    xi = torch.full_like(x, 1 / math.sqrt(temperature))
    noise = (xi, torch.zeros(1, dtype=torch.float64))
    for rise, divergent in ((999.0, 0.0), (1001.0, 1.0)):
        a = math.sqrt(2 * rise * temperature)
        energy = lambda x, a=a: a * x.square().sum(1)  # noqa: E731 (one for each rise)
        _, info = kernel.step(energy, kernel.init(energy, x), noise)
        assert info.energy_error.item() / temperature == pytest.approx(rise)
        assert info.divergent.item() == divergent


@pytest.mark.parametrize("begin", [1.5, 2.5, 3.5])
@pytest.mark.parametrize("warm_up", [0, 3])
def test_a_chain_that_begins_at_a_wall_stays_and_shows_it(begin, warm_up):
    x = torch.full((1, 1), begin, dtype=torch.float64)
    sample = Sampler(HMC(0.5, leapfrog=2, warm_up=warm_up), 5)(walled, x, seeded(0))
    assert torch.equal(sample.x, x)
    assert not sample.info.energy.isfinite().any()
    assert sample.info.divergent.item() == 1


def funnel(x):
    v = x[:, 0]
    return v.square() / 18 + 0.5 * (-v).exp() * x[:, 1:].square().sum(1) + 4.5 * v


def test_the_funnel_is_known_to_fail():
    """400 chains begun in the mouth, at v = 3: after 200 steps v ~ N(0, 9) is not reached.

    Were it, the variance would be 9 with a standard error of 9 √(2/399) = 0.64, the mean 0 with
    one of 0.15, and 63 of the 400 would lie under -3.
    """
    z = normal(400, 10, 1)
    x = torch.cat([torch.full((400, 1), 3.0).double(), z[:, 1:] * math.exp(1.5)], 1)
    x = sample_chain(HMC(0.6, leapfrog=5), funnel, x, n_steps=200, generator=seeded(2))
    v = x[:, 0]
    assert v.var().item() < 9 - 5 * 0.64
    assert v.mean().item() > 5 * 0.15
    assert (v < -3).sum().item() < 10


def test_the_funnel_is_left_invariant_all_the_same():
    z = normal(10_000, 10, 1)
    v = 3 * z[:, :1]
    x = torch.cat([v, z[:, 1:] * (v / 2).exp()], 1)
    x = sample_chain(HMC(0.6, leapfrog=5), funnel, x, n_steps=10, generator=seeded(2))
    assert from_law(x[:, 0] / 3, torch.special.ndtr).share < 1


def test_a_gradient_flows_through_a_step_that_is_kept():
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    x = normal(4, 2, 1)
    kernel = HMC(0.1, leapfrog=3, warm_up=2)
    noise = (normal(4, 2, 2), torch.zeros(4, dtype=torch.float64))

    def end(weight):
        energy = Differentiable(lambda x: weight * x.square().square().sum(1))
        return kernel.step(energy, kernel.init(energy, x), noise)[0].x.sum()

    (found,) = torch.autograd.grad(end(weight), weight)
    width = 1e-6
    wanted = (end(weight.detach() + width) - end(weight.detach() - width)) / (2 * width)
    torch.testing.assert_close(found, wanted.detach(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("warm_up", [0, 5])
def test_meta_device(warm_up):
    x = torch.zeros(4, 3, 2, device="meta")
    kernel = HMC(leapfrog=2, warm_up=warm_up, mass=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    sample = Sampler(kernel, 2)(lambda x: x.square().flatten(1).sum(1), x, None)
    assert sample.x.device.type == "meta"
    assert sample.x.shape == (4, 3, 2)
    assert all(part.shape == (4,) for part in sample.info)


def test_masses_that_do_not_fit_are_refused():
    kernel = HMC(mass=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"each of the 2 numbers .* \(2,\); got a list of 3"):
        kernel.init(lambda x: x.square().sum(1), torch.zeros(4, 2))


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_target_that_cannot_be_reached_is_refused(target):
    with pytest.raises(ValueError, match="should lie between 0 and 1; got"):
        HMC(target_acceptance=target)
