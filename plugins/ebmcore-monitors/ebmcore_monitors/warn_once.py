"""Warnings that a monitor emits once per run, however often it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ebmcore import RunView


class WarnsOnce:
    """A monitor that emits each kind of warning once per run, also across a resume.

    A call at an earlier step than the last one belongs to another run, and starts over.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()
        self._step = 0

    def warn(self, view: RunView, kind: str, text: str) -> None:
        """Emit a warning, unless this run emitted one of this kind before."""
        if view.step < self._step:
            self._warned.clear()
        self._step = view.step
        if kind not in self._warned:
            self._warned.add(kind)
            view.warn(text)

    def state_dict(self) -> dict[str, Any]:
        """Return the kinds of the emitted warnings, and the step of the last call."""
        return {"told": sorted(self._warned), "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`."""
        self._warned, self._step = set(state["told"]), int(state["step"])
