"""The steps at which monitors are due; `monitoring.run` extends it to run them on rank 0."""

from __future__ import annotations

from typing import Any

from ebmcore.train.components import MonitorEntry, Parts


class MonitorSchedule:
    """The steps at which monitors are due, the same on every rank; this class runs none."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def due(self, step: int, steps_per_epoch: int, end: bool, *, rest: bool = False) -> bool:
        """Whether a monitor is due after `step` training steps, switched off or not.

        With `rest`, whether one is due that isn't, unless the run ends here.
        """
        return any(
            is_due(entry, step, steps_per_epoch, end=end, rest=rest)
            for entry in self.parts.monitors
        )

    def __call__(self, *given: Any, **named: Any) -> dict[str, float]:
        """Run no monitor."""
        return {}


def is_due(entry: MonitorEntry, step: int, steps_per_epoch: int, *, end: bool, rest: bool) -> bool:
    """Whether a monitor is due; with `rest`, whether it is only because the run ends here.

    One at `auto` may have been put off, so with `rest` it is due again.
    """
    before = rest and not entry.every.auto and entry.is_due(step, steps_per_epoch, False)
    return entry.is_due(step, steps_per_epoch, end) and not before
