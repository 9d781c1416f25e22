"""Drawing events from a model, for a monitor or after the run, without moving the run's chains."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from ebmcore.contracts import Chains, Trace
from ebmcore.sampling import Sampler, Walk


class Drawer(NamedTuple):
    """Draws from a model by its sampler, beginning at copies of its chains.

    Chains that remember go on from random ones of those that they keep. Others begin where a
    training step would begin them, with `begin(n)` for the batch of data.
    """

    energy: nn.Module
    sampler: Sampler
    chains: Chains
    begin: Callable[[int], Tensor]
    generator: Generator

    def draw(self, n: int, n_steps: int | None) -> Tensor:
        """Return n events, n_steps on; ten times the training's when it is None."""
        steps = 10 * self.sampler.n_steps if n_steps is None else n_steps
        return self._walk(n, steps).go(steps).x

    def trace(self, n: int, n_steps: int, thin: int) -> Trace:
        """Return every thin-th state of n chains on their way over n_steps."""
        if not 1 <= thin <= n_steps:
            raise ValueError(f"thin should be from 1 to n_steps, {n_steps}; got {thin}")
        return self._walk(n, n_steps).trace(n_steps, thin)

    def _walk(self, n: int, steps: int) -> Walk:
        if n < 1 or steps < 1:
            raise ValueError(f"n and n_steps should be at least 1; got {n} and {steps}")
        kept = self.chains.kept()
        if kept is not None:
            start = kept[choose(len(kept), n, self.generator)]
        else:
            start = copy.deepcopy(self.chains).start(self.begin(n), self.generator)
        return Walk(self.sampler.kernel, self.energy, start, self.generator)


def choose(there: int, n: int, generator: Generator) -> Tensor:
    """Return n random indices, without repeats where there are enough."""
    device = generator.device
    if n <= there:
        return torch.randperm(there, generator=generator, device=device)[:n]
    return torch.randint(there, (n,), generator=generator, device=device)
