"""Calls of a sampler with nothing between: the core's own care would hide its faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ebmcore import Carried, Start, init_state
from ebmcore.sampling import as_kernel, carried_by, own_loop
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

    def begin(
        self,
        kernel: Any,
        energy: nn.Module,
        x: Tensor,
        generator: Generator | None = None,
        n_steps: int = 1,
        carried: Carried | None = None,
    ) -> Any:
        """Make a kernel's state at x, with the slots that its `init` names."""
        generator = generator or seeded(9)
        return init_state(kernel, energy, x, generator=generator, n_steps=n_steps, carried=carried)

    def go(
        self, energy: nn.Module, x: Tensor, n_steps: int, generator: Generator, kernel: Any = None
    ) -> Moved:
        """Move chains by n_steps, with a sampler of its own unless it is given."""
        kernel = kernel or self.sampler()
        if hasattr(kernel, "sample"):
            found = own_loop(kernel, energy, x, n_steps, generator, carried_by(Start(x)))
            return Moved(found.x, found.info)
        state, info = self.begin(kernel, energy, x, generator, n_steps), None
        for _ in range(n_steps):
            state, info = kernel.step(energy, state, kernel.noise(state.x, generator))
        return Moved(state.x, info)

    def moved(self, n: int = 5) -> tuple[nn.Module, Tensor]:
        """Return an energy and chains to move on it."""
        shape = self.shapes()[0]
        return self.energy(shape).eval(), self.events(n, shape)


def chain_axes(parts: Sequence[Any], fewer: Sequence[Any]) -> tuple[int | None, ...]:
    """Find the axis of chains in each tensor, given the same with a chain less; None: shared."""
    axes: list[int | None] = []
    for a, b in zip(parts, fewer, strict=True):
        there = isinstance(a, Tensor) and isinstance(b, Tensor) and a.ndim == b.ndim
        sizes = zip(a.shape, b.shape, strict=True) if there else ()
        axes.append(next((i for i, (n, m) in enumerate(sizes) if n != m), None))
    return tuple(axes)


def reordered(parts: Sequence[Any], axes: Sequence[int | None], order: Tensor) -> tuple[Any, ...]:
    """Return the tensors with their chains in another order; the rest as it is."""
    pairs = zip(parts, axes, strict=True)
    return tuple(part if i is None else part.index_select(i, order) for part, i in pairs)
