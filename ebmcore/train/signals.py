"""Signals while training: the first ends the run after its step, a second Ctrl-C at once.

SIGUSR1 asks for a checkpoint, and the run goes on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM)
_SAVING = getattr(signal, "SIGUSR1", None)  # Windows has none


@contextmanager
def save_only_while_training() -> Iterator[None]:
    """Ignore SIGUSR1 here, where there is nothing to save; by itself it would end the process.

    Inside, `Interrupts` hears it.
    """
    if _SAVING is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(_SAVING, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(_SAVING, before or signal.SIG_DFL)


class Interrupts:
    """Inside this context SIGINT and SIGTERM set `number` rather than ending the process.

    Python hands signals to the main thread alone; in any other thread this does nothing.

    Args:
        agreed: Whether several ranks agree on what they heard, at the end of a step; till then it
            is only in `heard` and `heard_save`.
    """

    def __init__(self, *, agreed: bool = False) -> None:
        self.agreed = agreed
        self.number: int | None = None  # 0 for an end that no signal asked for
        self.early = ""  # why the run itself ends before its last step
        self.save = False  # whether a checkpoint was asked for
        self.heard: int | None = None  # by this process
        self.heard_save = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                self._before[number] = signal.signal(number, self._hear)
            if _SAVING is not None:
                self._before[_SAVING] = signal.signal(_SAVING, self._save)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def end(self, why: str) -> None:
        """End the run after its step, as a signal does, for a reason of its own."""
        if self.number is None:
            self.number, self.early = 0, why

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.heard is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.heard = number
        if not self.agreed:
            self.number = number

    def _save(self, number: int, frame: FrameType | None) -> None:
        self.heard_save = True
        if not self.agreed:
            self.save = True
