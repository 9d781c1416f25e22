"""Calls of a sampler with nothing between: the core's own care would hide its faults."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ebmcore.sampling import as_kernel
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.suites.suite import Suite

_CPU = torch.device("cpu")


class Moved(NamedTuple):
    """Where chains ended, and the last step's info."""

    x: Tensor
    info: Any


class SamplerCalls(Suite):
    """A suite that builds samplers and moves chains with them."""

    kind = "sampler"

    def sampler(self, device: torch.device = _CPU) -> Any:
        """Build the sampler: a kernel, or an object with `sample`."""
        return as_kernel(self.build(device=device))

    def begin(self, kernel: Any, energy: nn.Module, x: Tensor) -> Any:
        """Make a kernel's state at x."""
        return kernel.init(energy, x)

    def go(
        self, energy: nn.Module, x: Tensor, n_steps: int, generator: Generator, kernel: Any = None
    ) -> Moved:
        """Move chains by n_steps, with a sampler of its own unless it is given."""
        kernel = kernel or self.sampler()
        if hasattr(kernel, "sample"):
            found = kernel.sample(energy, x, n_steps, generator)
            return Moved(found[0], found[1]) if isinstance(found, tuple) else Moved(found, None)
        state, info = self.begin(kernel, energy, x), None
        for _ in range(n_steps):
            state, info = kernel.step(energy, state, kernel.noise(state.x, generator))
        return Moved(state.x, info)

    def moved(self, n: int = 5) -> tuple[nn.Module, Tensor]:
        """Return an energy and chains to move on it."""
        shape = self.shapes()[0]
        return self.energy(shape).eval(), self.events(n, shape)


def chain_axes(kernel: Any, x: Tensor) -> tuple[int | None, ...]:
    """Find the axis of chains in each tensor of a kernel's noise; None: the chains share it.

    It is the axis that grows when there is one chain more.
    """
    more, same = (kernel.noise(chains, seeded(0)) for chains in (x, x[:-1]))
    axes: list[int | None] = []
    for a, b in zip(more, same, strict=True):
        grown = [i for i, (n, m) in enumerate(zip(a.shape, b.shape, strict=True)) if n != m]
        axes.append(grown[0] if grown else None)
    return tuple(axes)
