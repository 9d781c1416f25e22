"""How many threads of the processor a run uses: chosen once, recorded, and put back."""

from __future__ import annotations

import _thread
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ebmcore.config.sections import MOST_THREADS
from ebmcore.errors import ConfigError, Problem
from ebmcore.sampling import evaluating

_ENDING = 5.0  # seconds that bare threads have to end
_SMALL = 100e6  # floating-point operations of E and its gradient, for a batch


class Threads(NamedTuple):
    """What was asked for, what is used, and why."""

    asked: int | str
    number: int
    why: str


def choose_threads(asked: int | str, energy: nn.Module, batch: Tensor) -> Threads:
    """Decide from the size of an energy and of a batch, (batch, *event), never from a clock.

    A small energy's matrices are too small to share out: two threads spend more time on meeting
    than they save, and the more so the more operations there are. Raises ConfigError when the
    system doesn't let this process have as many as it asks for.
    """
    there = torch.get_num_threads()
    if asked != "auto":
        _refuse_unstartable(int(asked))
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


def _refuse_unstartable(count: int) -> None:
    """Refuse more threads than can be started, for which OpenMP would end the process."""
    problem = ""
    if not 1 <= count <= MOST_THREADS:
        problem = f"should be from 1 to {MOST_THREADS}, or auto; got {count}"
    elif count > processors() and not _can_start(2 * count):  # torch keeps two pools
        problem = f"the system lets this process start no {count}; ask for fewer, or auto"
    if problem:
        raise ConfigError([Problem("threads", problem)])


def _can_start(count: int) -> bool:
    """Whether so many threads can be there at once; they are started, and ended."""
    before, held = _thread._count(), _thread.allocate_lock()

    def wait() -> None:
        with held:
            pass

    held.acquire()
    try:
        for _ in range(count):
            _thread.start_new_thread(wait, ())
    except RuntimeError:
        return False
    finally:
        held.release()
        until = time.monotonic() + _ENDING
        while _thread._count() > before and time.monotonic() < until:
            time.sleep(0.001)
    return True


@contextmanager
def using(count: int) -> Iterator[None]:
    """Let torch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
