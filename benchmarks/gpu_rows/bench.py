"""The device, the time that is left, and the rows of results of `benchmarks/gpu.py`."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Absent(Exception):  # noqa: N818 (a state, no error)
    """Something that can't be measured here."""


class Bench:
    """The device, the sizes, the time that is left, and the results so far."""

    def __init__(self, device: str, seconds: float, *, quick: bool) -> None:
        self.device = torch.device(device)
        self.cuda = self.device.type == "cuda"
        self.seconds = seconds
        self.end = time.monotonic()
        self.quick = quick
        self.nets = ((8,),) if quick else ((128, 128), (512, 512), (1024, 1024, 1024))
        self.chains = (16,) if quick else (1_000, 100_000, 10_000, 1_000_000)
        self.steps = 10 if quick else 1000
        self.least = 0.0 if quick else 0.3  # seconds that a row is measured, at least
        self.rows: list[dict[str, Any]] = []

    def begin(self, share: float) -> None:
        """Begin a section, which gets a share of the time, and the time that others left."""
        self.end += share * self.seconds

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.end - time.monotonic()

    def row(
        self, section: str, needs: float, call: Callable[[], dict[str, Any]], **of: Any
    ) -> None:
        """Add a row of results, or the reason why there is none."""
        if self.left() < needs:
            found: dict[str, Any] = {"skipped": f"{self.left():.0f} s were left of {needs:.0f}"}
        else:
            began = time.monotonic()
            if self.cuda:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            try:
                found = call()
            except Absent as reason:
                found = {"absent": str(reason)}
            except Exception as error:  # the rows that follow are worth having
                found = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]:.300}"}
            if self.cuda:
                found["peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
            found["took"] = round(time.monotonic() - began, 2)
        self.rows.append({"section": section, **of, **found})
        print(json.dumps(self.rows[-1]), file=sys.stderr, flush=True)

    def wait(self) -> None:
        """Wait for the device."""
        if self.cuda:
            torch.cuda.synchronize()

    def timed(self, call: Callable[[], Any], steps: int) -> dict[str, Any]:
        """Return the seconds a step: the median of calls that do so many each."""
        began = time.perf_counter()
        for _ in range(1 if self.quick else 3):  # a CUDA graph is captured by the second
            call()
        self.wait()
        warm, rounds = time.perf_counter() - began, []
        least = 1 if self.quick or warm > 5 else 3
        while len(rounds) < least or (sum(rounds) < self.least and len(rounds) < 100):
            began = time.perf_counter()
            call()
            self.wait()
            rounds.append(time.perf_counter() - began)
        return {"seconds": statistics.median(rounds) / steps, "warm": round(warm, 2)}

    def generator(self) -> torch.Generator:
        """Return a generator on the device."""
        where = "cpu" if self.device.type == "meta" else self.device
        return torch.Generator(where).manual_seed(0)

    @contextmanager
    def forbid_waiting(self) -> Iterator[None]:
        """Raise where Python waits for the GPU; on other devices nothing is forbidden."""
        if not self.cuda:
            yield
            return
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
