"""The display of a run's progress in a notebook: one bar in the cell, which the run moves."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ebmcore import terminal
from ebmcore.train.types import Silent

_SECONDS = 0.25  # between two updates, each of which is a message to the browser


class CellBar(Silent):
    """A bar and a line of figures in the output of a cell.

    Args:
        steps: The run's steps.
        figures: Makes the line of the loss, the energy gap and the steps per second.
    """

    def __init__(self, steps: int, figures: Callable[[float, float | None, float], str]) -> None:
        self.steps = steps
        self.figures = figures
        self._handle: Any = None
        self._next = 0.0

    def update(self, step: int, loss: float, gap: float | None, rate: float) -> None:
        """Move the bar when it is time."""
        now = time.monotonic()
        if now < self._next and step < self.steps:
            return
        self._next = now + _SECONDS
        line = f"{step:,} of {self.steps:,}  {self.figures(loss, gap, rate)}"
        bar = f'<progress value="{step}" max="{self.steps}"></progress>'
        shown = {"text/html": f"{bar} <code>{html.escape(line)}</code>", "text/plain": line}
        if self._handle is None:
            show = import_module("IPython.display").display
            self._handle = show(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)

    def say(self, text: str) -> None:
        """Write a line below the bar."""
        terminal.say(text)


def in_notebook() -> bool:
    """Tell whether a kernel of Jupyter runs this process; IPython isn't imported for it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
