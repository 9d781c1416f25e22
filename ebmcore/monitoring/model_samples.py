"""Samples of a model, for a monitor or after the run, that leave the run's chains unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ebmcore.contracts import Chains, Start, Trace
from ebmcore.monitoring.borrowed import borrowed
from ebmcore.sampling import Sampler, Walk, start_chains


class ModelSamples(NamedTuple):
    """Samples a model with copies of its sampler and its chains, whose memory doesn't change.

    Persistent chains continue from a random choice of the kept ones. Others start as in a training
    step whose batch of data is `begin(n)`.
    """

    energy: nn.Module
    sampler: Sampler
    chains: Chains
    begin: Callable[[int], Tensor]
    generator: Generator

    def sample(self, n: int, n_steps: int | None) -> Tensor:
        """Return n events after n_steps; by default ten times the steps of training."""
        steps = 10 * self.sampler.n_steps if n_steps is None else n_steps
        with borrowed(self.sampler.kernel) as kernel:
            return self._walk(kernel, n, steps).go(steps).x

    def trace(self, n: int, n_steps: int, thin: int) -> Trace:
        """Return every thin-th state of n chains over n_steps."""
        if not 1 <= thin <= n_steps:
            raise ValueError(f"thin should be from 1 to n_steps, {n_steps}; got {thin}")
        with borrowed(self.sampler.kernel) as kernel:
            return self._walk(kernel, n, n_steps).trace(n_steps, thin)

    def _walk(self, kernel: Any, n: int, steps: int) -> Walk:
        if n < 1 or steps < 1:
            raise ValueError(f"n and n_steps should be at least 1; got {n} and {steps}")
        kept = self.chains.kept()
        if kept is not None:
            start = rows(kept, random_indices(len(kept.x), n, self.generator))
        else:
            with borrowed(self.chains) as chains:
                start = start_chains(chains, self.begin(n), generator=self.generator)
        return Walk(kernel, self.energy, start, self.generator, n_steps=steps)


def rows(start: Start, index: Tensor) -> Start:
    """Return some of the chains, by their numbers."""
    carried = {name: value[index] for name, value in start.carried.items()}
    y, fresh = (None if t is None else t[index] for t in (start.y, start.fresh))
    return Start(start.x[index], y, carried, fresh)


def random_indices(size: int, n: int, generator: Generator) -> Tensor:
    """Return n random indices below size, without repeats if n <= size."""
    device = generator.device
    if n <= size:
        return torch.randperm(size, generator=generator, device=device)[:n]
    return torch.randint(size, (n,), generator=generator, device=device)
