"""Annealing through temperatures: its log weights have the ratio of the Zs as their mean."""

import math

import pytest
import torch
from ebmcore_langevin import MALA, Annealed, Langevin, Underdamped

from ebmcore import init_state, sample_chain

CHAINS = 20_000
GRID = torch.linspace(-3, 3, 6001, dtype=torch.float64)


def quadratic(x):
    return x.square().sum(1) / 2


def tilted(x):
    """E = 8 (x² - 1)² + 0.7 x, whose wells have the shares .796 and .204."""
    return (8 * (x.square() - 1).square() + 0.7 * x).sum(1)


def run(kernel, energy, x, n_steps):
    """Take n_steps from x; return the chains and the last info."""
    generator = torch.Generator().manual_seed(1)
    state = init_state(kernel, energy, x, generator=generator, n_steps=n_steps)
    for _ in range(n_steps):
        state, info = kernel.step(energy, state, kernel.noise(state.x, generator))
    return state.x, info


def drawn(temperature):
    """Draw of exp(-E/T) of the tilted wells, by its CDF on a grid."""
    cdf = (-tilted(GRID[:, None]) / temperature).exp().cumsum(0)
    u = torch.rand(CHAINS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return GRID[torch.searchsorted(cdf / cdf[-1], u)][:, None]


def require_mean(values, expected):
    stderr = float(values.std()) / math.sqrt(len(values))
    assert stderr < 0.05 * abs(expected)
    assert abs(float(values.mean()) - expected) < 4 * stderr


@pytest.mark.parametrize(
    ("schedule", "temperatures", "rescale"),
    [
        ("geometric", [8.0, 1.0], True),
        ("linear", [8.0, 1.0], False),
        ("steps", [8.0, 4.0, 2.0, 1.0], True),
    ],
)
def test_jarzynski_on_a_quadratic(schedule, temperatures, rescale):
    generator = torch.Generator().manual_seed(0)
    x = math.sqrt(8) * torch.randn(CHAINS, 2, generator=generator, dtype=torch.float64)
    kernel = Annealed(
        MALA(step_size=0.5), temperatures=temperatures, schedule=schedule, rescale=rescale
    )
    end, info = run(kernel, quadratic, x, 8)
    weights = info.log_weight.exp()
    require_mean(weights, 1 / 8)  # (T_last / T_first)^(d/2)
    require_mean(8 * weights * end.square().sum(1), 2.0)  # weighted, draws of the last law


def test_jarzynski_with_a_momentum():
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.randn(CHAINS, 1, generator=generator, dtype=torch.float64)
    kernel = Annealed(Underdamped(step_size=0.1), temperatures=[4.0, 1.0])
    require_mean(run(kernel, quadratic, x, 10)[1].log_weight.exp(), 0.5)


def test_jarzynski_on_the_tilted_wells():
    kernel = Annealed(MALA(step_size=0.03), temperatures=[16.0, 1.0])
    end, info = run(kernel, tilted, drawn(16.0), 40)
    z = [float((-tilted(GRID[:, None]) / t).exp().sum()) for t in (16.0, 1.0)]
    weights = info.log_weight.exp()
    require_mean(weights, z[1] / z[0])
    right = (end[:, 0] > 0).double()
    share = float((-tilted(GRID[GRID > 0][:, None])).exp().sum()) / z[1]
    assert abs(share - 0.204) < 0.0005
    require_mean(1 + z[0] / z[1] * weights * (right - share), 1.0)


def test_the_kernels_own_temperature_counts():
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.randn(CHAINS, 1, generator=generator, dtype=torch.float64)
    kernel = Annealed(MALA(step_size=0.5, temperature=0.5), temperatures=[8.0, 2.0])
    assert kernel.implied_temperature == 1.0
    require_mean(run(kernel, quadratic, x, 10)[1].log_weight.exp(), 0.5)


def test_schedules_by_hand():
    x = torch.zeros(3, 1, dtype=torch.float64)
    expected = {
        "geometric": [2.0, 1.0, 1.0, 1.0],
        "linear": [1.6, 1.0, 1.0, 1.0],
        "steps": [4.0, 1.0, 1.0, 1.0],
    }
    for schedule, temperatures in expected.items():
        kernel = Annealed(Langevin(), temperatures=[4.0, 1.0], schedule=schedule)
        state = init_state(kernel, quadratic, x, n_steps=2)
        for temperature in temperatures:  # and beyond the run
            state, info = kernel.step(quadratic, state, kernel.noise(x, None))
            torch.testing.assert_close(info.temperature, torch.full_like(x[:, 0], temperature))


@pytest.mark.parametrize("rescale", [True, False])
def test_one_step_by_hand(rescale):
    x = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
    xi = torch.tensor([[0.5], [-1.0]], dtype=torch.float64)
    kernel = Annealed(Langevin(step_size=0.1), temperatures=[9.0, 3.0, 0.5], rescale=rescale)
    state, info = kernel.step(quadratic, init_state(kernel, quadratic, x, n_steps=4), (xi,))
    temperature = math.sqrt(9.0 * 3.0)
    h = 0.1 * (temperature / 0.5 if rescale else 1)
    torch.testing.assert_close(state.x, x - h * x / temperature + math.sqrt(2 * h) * xi)
    torch.testing.assert_close(info.log_weight, (1 / 9 - 1 / temperature) * quadratic(x))
    torch.testing.assert_close(info.energy, quadratic(x))


def test_a_momentum_goes_on_from_step_to_step():
    kernel, plain = Underdamped(step_size=0.1), torch.zeros(4, 1, dtype=torch.float64)
    still = Annealed(kernel, temperatures=[1.0, 1.0])
    ends = [
        sample_chain(k, quadratic, plain, n_steps=9, generator=torch.Generator().manual_seed(3))
        for k in (kernel, still)
    ]
    torch.testing.assert_close(*ends)


def test_levels_and_temperatures_together():
    sigmas = torch.tensor([2.0, 1.0], dtype=torch.float64)

    class Levels(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("sigmas", sigmas)

        def forward(self, x, t):
            return x.square().sum(1) / (2 * t**2)

    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn(CHAINS, 1, generator=generator, dtype=torch.float64)
    kernel = Annealed(MALA(step_size=0.5), temperatures=[4.0, 1.0])
    end, info = run(kernel, Levels(), x, 10)
    require_mean(info.log_weight.exp(), 0.25)  # standard deviations 4 and 1
    require_mean(4 * info.log_weight.exp() * end[:, 0].square(), 1.0)
