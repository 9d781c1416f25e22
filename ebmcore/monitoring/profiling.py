"""A torch profiler trace of some of a run's steps, for chrome://tracing or ui.perfetto.dev."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.profiler import ProfilerActivity, profile, schedule

_WAIT = 10  # first steps, which compile and warm up
_ACTIVE = 10


class Profiler:
    """Profiles ten steps after the first ten, or all steps of a shorter run.

    Args:
        write: Writes the trace, as Chrome's JSON.
        steps: The steps that the run is going to take.
        device: Where it takes them.
    """

    def __init__(self, write: Callable[[bytes], object], steps: int, device: torch.device) -> None:
        self.write = write
        wait = _WAIT if steps > _WAIT + _ACTIVE else 0
        activities = [ProfilerActivity.CPU]
        if device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self._profile = profile(
            activities=activities,
            schedule=schedule(wait=wait, warmup=0, active=min(_ACTIVE, steps), repeat=1),
            on_trace_ready=self._keep,
        )

    def __enter__(self) -> Profiler:
        self._profile.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._profile.stop()

    def _keep(self, found: profile) -> None:
        with TemporaryDirectory() as folder:  # torch writes to a path, and follows links
            file = Path(folder) / "trace.json"
            found.export_chrome_trace(str(file))
            self.write(file.read_bytes())

    def step(self) -> None:
        """Mark the end of a training step."""
        self._profile.step()
