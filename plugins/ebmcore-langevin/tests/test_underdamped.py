"""BAOAB by hand, against its exact law on Gaussians, and on a double well under restarts."""

import math

import pytest
import torch
from ebmcore_langevin import Underdamped

from ebmcore import Carried, Sampler, Start
from ebmcore.testing import from_law

# One comparison with a law rejects what is right once in a million times.


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, seed):
    return torch.randn(n, 1, generator=seeded(seed), dtype=torch.float64)


def test_one_step_by_hand():
    """E = 2x² at x = 1, p = 0.5: h = 0.2, γ = 3, T = 0.7, ξ = -0.4."""
    kernel = Underdamped(0.2, friction=3.0, temperature=0.7)
    x = torch.tensor([[1.0]], dtype=torch.float64)
    carried = Carried({"momentum": torch.full_like(x, 0.5)}, torch.tensor([False]))
    energy = lambda x: 2 * x.square().sum(1)  # noqa: E731
    state = kernel.init(energy, x, seeded(), carried)
    state, info = kernel.step(energy, state, (torch.full_like(x, -0.4),))
    p = 0.5 - 0.1 * 4
    x = 1 + 0.1 * p
    p = math.exp(-0.6) * p - math.sqrt((1 - math.exp(-1.2)) * 0.7) * 0.4
    x = x + 0.1 * p
    p = p - 0.1 * 4 * x
    assert state.x.item() == pytest.approx(x, rel=1e-12)
    assert state.momentum.item() == pytest.approx(p, rel=1e-12)
    assert state.score.item() == pytest.approx(-4 * x, rel=1e-12)
    assert [float(field) for field in info] == pytest.approx([2, 4, 0.25])


@pytest.mark.parametrize("step_size", [0.3, 1.2])
def test_its_law_on_a_gaussian(step_size):
    """Exact draws of x and p, s = 0.9: 30 steps later, at friction 0.5, they still are."""
    scale, temperature, n = 0.9, 1.3, 20_000
    kernel = Underdamped(step_size, friction=0.5, temperature=temperature)
    variances = temperature * scale**2, temperature * (1 - step_size**2 / (4 * scale**2))
    assert kernel.stationary_variance(scale) == pytest.approx(variances[0])
    x, p = (math.sqrt(v) * normal(n, seed) for seed, v in enumerate(variances))
    end = Sampler(kernel, 30)(
        lambda x: x.square().sum(1) / (2 * scale**2), Start(x, carried={"momentum": p}), seeded(3)
    )
    for found, variance in zip((end.x, end.carried["momentum"]), variances, strict=True):
        law = torch.distributions.Normal(0.0, math.sqrt(variance))
        assert from_law(found[:, 0], law.cdf).share < 1
    assert Underdamped(1.8).stationary_variance(0.9) == math.inf


def test_new_momenta_have_the_temperature():
    x = torch.zeros(20_000, 1, dtype=torch.float64)
    carried = Carried({}, torch.ones(len(x), dtype=torch.bool))
    state = Underdamped(temperature=2.5).init(lambda x: x.sum(1), x, seeded(), carried)
    assert from_law(state.momentum[:, 0], torch.distributions.Normal(0, 2.5**0.5).cdf).share < 1


GRID = torch.linspace(-2.5, 2.5, 50_001, dtype=torch.float64)


def double_well(x):
    """E(x) = 8(x² - 1)² + 0.7x, with a barrier of 8 nats."""
    return (8 * (x.square() - 1).square() + 0.7 * x).flatten(1).sum(1)


def cdf(temperature):
    """Return the distribution function of exp(-E/T) on the grid, by quadrature."""
    return torch.softmax(-double_well(GRID[:, None]) / temperature, 0).cumsum(0)


def at(values, x):
    return values[((x - GRID[0]) / (GRID[1] - GRID[0])).round().long().clamp(0, len(GRID) - 1)]


def restarted(kernel, x, every, n_steps):
    """Run n_steps in runs of `every`, as training steps do with chains that remember."""
    start, generator = Start(x), seeded(7)
    for _ in range(n_steps // every):
        end = Sampler(kernel, every)(double_well, start, generator)
        start = Start(end.x, carried=end.carried)
    return end.x[:, 0]


@pytest.mark.parametrize("every", [2, 10, 50])
def test_the_double_well_under_restarts(every):
    """At T = 1 exact draws stay exact; at T = 4 chains of one well find the other's share."""
    law = cdf(1.0)
    uniform = torch.rand(20_000, generator=seeded(1), dtype=torch.float64)
    x = restarted(Underdamped(0.05), GRID[torch.searchsorted(law, uniform)][:, None], every, 100)
    assert from_law(x, lambda x: at(law, x)).share < 1
    right = (1 - at(cdf(1.0), torch.zeros(1, dtype=torch.float64))).item()
    assert right == pytest.approx(0.204, abs=1e-3)
    assert abs((x > 0).double().mean().item() - right) < 4 * math.sqrt(right * (1 - right) / 20_000)

    hot, n = Underdamped(0.08, temperature=4.0), 4000
    right = (1 - at(cdf(4.0), torch.zeros(1, dtype=torch.float64))).item()
    x = restarted(hot, torch.full((n, 1), -1.0, dtype=torch.float64), every, 500)
    assert abs((x > 0).double().mean().item() - right) < 4 * math.sqrt(right * (1 - right) / n)
