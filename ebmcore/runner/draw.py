"""Drawing events from a model, for a monitor or after the run, without moving the run's chains."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from ebmcore.contracts import Chains
from ebmcore.sampling import Sampler, run_kernel


def draw(
    energy: nn.Module,
    sampler: Sampler,
    chains: Chains,
    begin: Callable[[int], Tensor],
    n: int,
    n_steps: int | None,
    generator: Generator,
) -> Tensor:
    """Draw n events by n_steps of the sampler, ten times the training's when it is None.

    Chains that remember go on from random ones of those that they keep. Others begin where a
    training step would begin them, with `begin(n)` for the batch of data.
    """
    steps = 10 * sampler.n_steps if n_steps is None else n_steps
    if n < 1 or steps < 1:
        raise ValueError(f"n and n_steps should be at least 1; got {n} and {steps}")
    kept = chains.kept()
    if kept is not None:
        start = kept[choose(len(kept), n, generator)]
    else:
        start = copy.deepcopy(chains).start(begin(n), generator)
    return run_kernel(sampler.kernel, energy, start, steps, generator).x


def choose(there: int, n: int, generator: Generator) -> Tensor:
    """Return n random indices, without repeats where there are enough."""
    device = generator.device
    if n <= there:
        return torch.randperm(there, generator=generator, device=device)[:n]
    return torch.randint(there, (n,), generator=generator, device=device)
