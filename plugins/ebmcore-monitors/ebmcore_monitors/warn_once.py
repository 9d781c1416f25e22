"""Warnings that a run hears once, however often its monitors look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ebmcore import RunView


class WarnsOnce:
    """A monitor that passes each kind of warning on the first time, in a resumed run too.

    A look at an earlier step is another run's.
    """

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

    def state_dict(self) -> dict[str, Any]:
        """Return what was told, and at which step last."""
        return {"told": sorted(self._told), "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._told, self._step = set(state["told"]), int(state["step"])
