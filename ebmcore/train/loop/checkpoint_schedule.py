"""The steps, or the minutes, after which a checkpoint is due."""

from __future__ import annotations

import time

from ebmcore.config import Cadence


class CheckpointSchedule:
    """`train.checkpoint_every`, in steps, epochs or minutes.

    Args:
        every: The config's text.
        steps_per_epoch: How many steps one epoch has.
    """

    def __init__(self, every: str, steps_per_epoch: int) -> None:
        self.every = Cadence.parse_with_minutes(every)
        self.steps_per_epoch = steps_per_epoch
        self.restart_clock()

    def restart_clock(self) -> None:
        """Count the minutes from now."""
        self._saved_at = time.perf_counter()

    def is_late(self) -> bool:
        """Whether a checkpoint is due by the clock of this process."""
        late = time.perf_counter() - self._saved_at >= 60 * self.every.count
        return self.every.unit == "minute" and late

    def is_due(self, step: int, *, late: bool) -> bool:
        """Whether a checkpoint is due after `step` steps; `late` is rank 0's `is_late`."""
        if self.every.unit == "minute":
            return late
        return self.every.is_due(step, self.steps_per_epoch)
