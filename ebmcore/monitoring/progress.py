"""The display of a run's progress: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ebmcore import terminal
from ebmcore.monitoring.notebook import CellBar, in_notebook
from ebmcore.train.types import Silent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_SECONDS = 10.0  # between two plain lines
COMPILING = "compiling the step"


class Lines(Silent):
    """A line every ten seconds, and one at the end, on standard error."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._next = time.monotonic()
        self._left = TimeLeft(steps)

    def update(self, step: int, loss: float, gap: float | None, rate: float) -> None:
        """Write a line when it is time."""
        left = self._left(step, rate)
        if time.monotonic() < self._next and step < self.steps:
            return
        self._next = time.monotonic() + _SECONDS
        self.say(f"step {step}/{self.steps}  {_figures(loss, gap, rate)}  {duration(left)} left")

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Write a line now, and one with the seconds when it is done."""
        self.say(COMPILING)
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self._left.exclude(seconds)
        self.say(f"{COMPILING} took {seconds:.1f} s")

    def say(self, text: str) -> None:
        """Write a line."""
        terminal.say(text)


class Bar(Silent):
    """A rich progress bar on standard error."""

    def __init__(self, steps: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task
        from rich.table import Column
        from rich.text import Text

        class Figures(ProgressColumn):
            """The last figures, or for how long the step has been compiling."""

            def render(_, task: Task) -> Text:  # noqa: N805
                return Text(self.figures())

        self.steps = steps
        self._left = TimeLeft(steps)
        self._figures = ""
        self._compiling: float | None = None  # since when
        self._bar: RichProgress = Progress(
            "training",
            BarColumn(),
            MofNCompleteColumn(),
            Figures(table_column=Column(no_wrap=True)),
            console=terminal.progress_console(),
        )
        self._task: TaskID = self._bar.add_task("training", total=steps)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def figures(self) -> str:
        """Return the text beside the bar."""
        if self._compiling is None:
            return self._figures
        return f"{COMPILING} since {time.monotonic() - self._compiling:.0f} s"

    def update(self, step: int, loss: float, gap: float | None, rate: float) -> None:
        """Move the bar."""
        left = self._left(step, rate)
        self._figures = f"{_figures(loss, gap, rate)}  {duration(left)} left"
        self._bar.update(self._task, completed=step)

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Show since when the step has been compiling, in place of the figures."""
        began = self._compiling = time.monotonic()
        try:
            yield
        finally:
            self._compiling = None
            self._left.exclude(time.monotonic() - began)

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._bar.console.print(terminal.clean(text))


class TimeLeft:
    """Estimates the seconds that a run's other steps take from those that it has taken.

    They count with all that comes between them, as monitors and checkpoints, but not what was
    excluded. Before two updates there is only the rate of the first steps.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._first: tuple[int, float] | None = None  # the step and the time of the first update

    def __call__(self, step: int, rate: float) -> float:
        """Return the seconds left after `step`; `rate` is that of the last steps, per second."""
        now = time.monotonic()
        if self._first is None or step <= self._first[0]:  # a rollback leads to steps before it
            self._first = step, now
            return (self.steps - step) / rate if rate else 0.0
        done, seconds = step - self._first[0], now - self._first[1]
        return (self.steps - step) * seconds / done

    def exclude(self, seconds: float) -> None:
        """Leave out seconds that no later step takes."""
        if self._first is not None:
            self._first = self._first[0], self._first[1] + seconds


def progress_display(steps: int, *, show: bool) -> Silent:
    """Return the display that fits standard error."""
    if not show:
        return Silent()
    if in_notebook():
        return CellBar(steps, _figures)
    return Bar(steps) if terminal.is_terminal(sys.stderr) else Lines(steps)


def duration(seconds: float) -> str:
    """Return seconds as a person says them: 45 s, 12 min, 3 h 20 min."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def speed(rate: float) -> str:
    """Return steps per second as a person says them: 250 steps/s, 2.5 steps/s, 2.3 s/step."""
    if rate >= 9.95:
        return f"{rate:.0f} steps/s"
    if rate >= 1.0 or rate <= 0.0:
        return f"{rate:.1f} steps/s"
    seconds = 1.0 / rate
    return f"{seconds:.1f} s/step" if seconds < 9.95 else f"{seconds:.0f} s/step"


def _figures(loss: float, gap: float | None, rate: float) -> str:
    gap_text = "" if gap is None else f"  gap {gap:+.4g}"
    return f"loss {loss:.4g}{gap_text}  {speed(rate)}"
