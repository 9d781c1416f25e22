"""The tilted double well, whose answers are known by quadrature, and states of exact draws."""

import pytest
import torch

from ebmcore import Carried, init_state

GRID = torch.linspace(-4, 4, 8001, dtype=torch.float64)


class TiltedWells:
    """E = 8 (x² - 1)² + 0.7 x: wells 8 nats deep, of unequal shares."""

    grid = GRID

    def __call__(self, x):
        return (8 * (x.square() - 1).square() + 0.7 * x).sum(1)

    def cdf(self, temperature=1.0):
        """Return the CDF of exp(-E/T) on GRID."""
        mass = (-self(GRID[:, None]) / temperature).exp().cumsum(0)
        return mass / mass[-1]

    def draw(self, n, temperature=1.0, seed=0):
        u = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return GRID[torch.searchsorted(self.cdf(temperature), u)][:, None]


def state_of(kernel, energy, replicas, generator=None, **fields):
    """Make a state of replicas (chains, replicas, *event) that go on, with what they carry."""
    n, k = replicas.shape[:2]
    zeros = torch.zeros(n, dtype=torch.int64)
    held = {
        "hot": replicas[:, 1:],
        "steps": zeros,
        "phase": torch.zeros(n, k, dtype=torch.int64),
        "round_trips": zeros,
        **fields,
    }
    fresh = torch.zeros(n, dtype=torch.bool)
    return init_state(
        kernel, energy, replicas[:, 0], generator=generator, carried=Carried(held, fresh)
    )


def taken(kernel, energy, state, n_steps, seed=1):
    """Take n_steps; return the state and the last info."""
    generator, info = torch.Generator().manual_seed(seed), None
    for _ in range(n_steps):
        state, info = kernel.step(energy, state, kernel.noise(state.x, generator))
    return state, info


@pytest.fixture
def wells():
    return TiltedWells()


@pytest.fixture
def begin():
    return state_of


@pytest.fixture
def go():
    return taken
