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
        self._look(view)
        if kind not in self._warned:
            self._warned.add(kind)
            view.warn(text)

    def warn_if_it_lasts(self, view: RunView, kind: str, text: str) -> None:
        """Emit a warning of a state that was there at the last look, too, or with which a run ends.

        A call without text records that the state isn't there.
        """
        self._look(view)
        seen = f"{kind} seen"
        if text and (view.at_end or seen in self._warned):
            self.warn(view, kind, text)
        (self._warned.add if text else self._warned.discard)(seen)

    def _look(self, view: RunView) -> None:
        if view.step < self._step:
            self._warned.clear()
        self._step = view.step

    def state_dict(self) -> dict[str, Any]:
        """Return the kinds of emitted warnings, the states seen, and the step of the last call."""
        return {"told": sorted(self._warned), "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`."""
        self._warned, self._step = set(state["told"]), int(state["step"])
