"""The number of CPU threads of a run: chosen once, recorded, and restored at the end."""

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

_ENDING = 5.0  # seconds for the test threads to end
_SMALL = 100e6  # floating-point operations of E and its gradient, for a batch


class Threads(NamedTuple):
    """The requested and the used number of threads, and the reason."""

    asked: int | str
    number: int
    why: str


def choose_threads(asked: int | str, energy: nn.Module, batch: Tensor) -> Threads:
    """Choose from the size of an energy and of a batch, (batch, *event), never from a clock.

    A small energy's matrices are too small to divide: two threads spend more time on
    synchronisation than they save, and with every operation. Raises ConfigError when the system
    can't start the requested number of threads.
    """
    there = torch.get_num_threads()
    if asked != "auto":
        _refuse_unstartable(int(asked))
        return Threads(asked, int(asked), f"threads: {asked}")
    if batch.device.type != "cpu":
        return Threads(asked, there, "torch's own number: the work is done on an accelerator")
    work = 3 * operations(energy, batch[:2]) * len(batch) / 2
    size = f"E and its gradient take {work / 1e6:.1f} million operations for a batch"
    return Threads(asked, 1 if work < _SMALL else there, size)


def operations(energy: nn.Module, x: Tensor) -> float:
    """Count the floating-point operations of E(x); at least two for each parameter and event."""
    counter = FlopCounterMode(display=False)
    with suppress(Exception), counter, torch.no_grad(), evaluating(energy):
        energy(x)  # without a count, the parameters decide
    parameters = sum(p.numel() for p in energy.parameters())
    return float(max(counter.get_total_flops(), 2 * parameters * len(x)))


def processors() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _refuse_unstartable(count: int) -> None:
    """Raise ConfigError for more threads than can start; OpenMP would abort the process."""
    problem = ""
    if not 1 <= count <= MOST_THREADS:
        problem = f"should be from 1 to {MOST_THREADS}, or auto; got {count}"
    elif count > processors() and not _can_start(2 * count):  # torch keeps two pools
        problem = f"the system can't start {count} threads for this process; ask for fewer, or auto"
    if problem:
        raise ConfigError([Problem("threads", problem)])


def _can_start(count: int) -> bool:
    """Whether `count` threads can run at once; starts and ends them to find out."""
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
    """Set torch's number of threads inside this context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
