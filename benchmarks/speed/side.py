"""What a side of the benchmark offers; a worker process holds one and calls its methods."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from speed.work import Array, Work, kl


class AbsentError(Exception):
    """A side that can't take part here: a peer that isn't installed, or a key that isn't there."""


class Side:
    """One implementation of the work. `train` and `walk` do blocks of it and return when done."""

    def build(self, work: Work, seed: int) -> None:
        """Make network, optimiser, data and chains."""
        raise NotImplementedError

    def train(self, steps: int) -> None:
        """Go on by so many training steps."""
        raise NotImplementedError

    def energies(self, points: Array) -> Array:
        """Return the energy of each point, (n, 2) -> (n,)."""
        raise NotImplementedError

    def place(self, chains: Array) -> None:
        """Put chains, (n, 2), to where `walk` goes on from; the energy is the untrained one."""
        raise NotImplementedError

    def walk(self, steps: int) -> Any:
        """Move the chains on by so many Langevin steps, and return them."""
        raise NotImplementedError

    def timed_train(self, steps: int) -> dict[str, Any]:
        """Train for so many steps; return seconds and CPU seconds a step."""
        return timed(lambda: self.train(steps), steps)

    def timed_walk(self, steps: int) -> dict[str, Any]:
        """Move the chains on; return seconds and CPU seconds a step."""
        return timed(lambda: self.walk(steps), steps)

    def learn(self, work: Work, seed: int, steps: int) -> dict[str, Any]:
        """Train from the start for so many steps; return the KL before and after."""
        self.build(work, seed)
        before = kl(self.energies)
        self.train(steps)
        return {"steps": steps, "kl_before": before, "kl": kl(self.energies)}


class Timed(NamedTuple):
    """Wall and CPU time of a call, of all threads of the process."""

    seconds: float
    cpu: float

    @classmethod
    def of(cls, call: Callable[[], Any]) -> Timed:
        """Call and measure."""
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        return cls(time.perf_counter() - wall, time.process_time() - cpu)


def timed(call: Callable[[], Any], steps: int) -> dict[str, Any]:
    """Return what a call that does so many steps took for each of them."""
    took = Timed.of(call)
    return {"steps": steps, "seconds": took.seconds / steps, "cpu": took.cpu / steps}
