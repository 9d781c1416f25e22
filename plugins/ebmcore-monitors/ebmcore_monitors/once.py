"""Warnings that a run hears once, however often its monitors look."""

from __future__ import annotations

from ebmcore import RunView


class Once:
    """Passes each kind of warning on the first time; a look at an earlier step is another run's."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._step = 0

    def warn(self, view: RunView, kind: str, text: str) -> None:
        """Warn, unless this run has been warned of this kind before."""
        if view.step < self._step:
            self._told.clear()
        self._step = view.step
        if kind not in self._told:
            self._told.add(kind)
            view.warn(text)
