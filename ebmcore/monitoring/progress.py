"""The display of a run's progress: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from ebmcore import terminal
from ebmcore.monitoring.notebook import CellBar, in_notebook
from ebmcore.train.types import Silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_SECONDS = 10.0  # between two plain lines


class Lines(Silent):
    """A line every ten seconds, and one at the end, on standard error."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._next = time.monotonic()

    def update(self, step: int, loss: float, gap: float | None, rate: float) -> None:
        """Write a line when it is time."""
        if time.monotonic() < self._next and step < self.steps:
            return
        self._next = time.monotonic() + _SECONDS
        left = (self.steps - step) / rate if rate else 0.0
        self.say(f"step {step}/{self.steps}  {_figures(loss, gap, rate)}  {left:.0f} s left")

    def say(self, text: str) -> None:
        """Write a line."""
        terminal.say(text)


class Bar(Silent):
    """A rich progress bar on standard error."""

    def __init__(self, steps: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar: RichProgress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=terminal.progress_console(),
        )
        self._task: TaskID = self._bar.add_task("training", total=steps, figures="")

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, step: int, loss: float, gap: float | None, rate: float) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=step, figures=_figures(loss, gap, rate))

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._bar.console.print(terminal.clean(text))


def progress_display(steps: int, *, show: bool) -> Silent:
    """Return the display that fits standard error."""
    if not show:
        return Silent()
    if in_notebook():
        return CellBar(steps, _figures)
    return Bar(steps) if terminal.is_terminal(sys.stderr) else Lines(steps)


def _figures(loss: float, gap: float | None, rate: float) -> str:
    gap_text = "" if gap is None else f"  gap {gap:+.4g}"
    return f"loss {loss:.4g}{gap_text}  {rate:.0f} steps/s"
