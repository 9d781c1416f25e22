"""A file that stops a run: `touch RUN_DIR/stop` ends it as FINISHED, with its last checkpoint.

When somebody makes the file is not determined by the run's seed, so the step where it stops isn't.
The bits up to there are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import ClassVar

from ebmcore import Callback, LiveRun, NonNegativeFloat


class StopFile(Callback):
    """Stop when a file appears. It looks when metrics are recorded (`train.log_every`).

    The file stays where it is: one outside the run directory stops the next run, too.

    Args:
        file: The file, below the run directory unless its path is absolute.
        every: Seconds between two looks, at the least.
    """

    metrics: ClassVar = ()  # it logs none

    def __init__(self, *, file: str = "stop", every: NonNegativeFloat = 1.0) -> None:
        if not file or "\0" in file:
            raise ValueError(f"file: should name a file; got {file!r}")
        self.file = os.path.expanduser(file)
        self.every = every
        self._looked: float | None = None

    def on_metrics(self, run: LiveRun, step: int, metrics: Mapping[str, float]) -> None:
        """Look for the file, unless that was just done."""
        now = time.monotonic()
        if self._looked is not None and now - self._looked < self.every:
            return
        self._looked = now
        file = run.dir / self.file
        if os.path.lexists(file):
            run.stop(f"the file {file} is there")
