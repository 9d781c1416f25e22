"""How many threads of the processor a run uses: chosen once, recorded, and put back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ebmcore.sampling import evaluating

_SMALL = 100e6  # floating-point operations of E and its gradient, for a batch


class Threads(NamedTuple):
    """What was asked for, what is used, and why."""

    asked: int | str
    number: int
    why: str


def choose_threads(asked: int | str, energy: nn.Module, batch: Tensor) -> Threads:
    """Decide from the size of an energy and of a batch, (batch, *event), never from a clock.

    A small energy's matrices are too small to share out: two threads spend more time on meeting
    than they save, and the more so the more operations there are.
    """
    there = torch.get_num_threads()
    if asked != "auto":
        return Threads(asked, int(asked), f"threads: {asked}")
    if batch.device.type != "cpu":
        return Threads(asked, there, "torch's own number: the work is done elsewhere")
    work = 3 * operations(energy, batch[:2]) * len(batch) / 2
    size = f"E and its gradient take {work / 1e6:.1f} million operations for a batch"
    return Threads(asked, 1 if work < _SMALL else there, size)


def operations(energy: nn.Module, x: Tensor) -> float:
    """Count the floating-point operations of E(x); at least two for each parameter and event."""
    counter = FlopCounterMode(display=False)
    with suppress(Exception), counter, torch.no_grad(), evaluating(energy):
        energy(x)  # what can't be counted is judged by its parameters
    parameters = sum(p.numel() for p in energy.parameters())
    return float(max(counter.get_total_flops(), 2 * parameters * len(x)))


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def using(count: int) -> Iterator[None]:
    """Let torch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
