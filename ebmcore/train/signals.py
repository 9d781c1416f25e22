"""Signals while training: the first ends the run after its step, a second Ctrl-C at once.

SIGUSR1 requests a checkpoint, and the run continues.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM)
_SAVING = getattr(signal, "SIGUSR1", None)  # Windows has none


@contextmanager
def save_only_while_training() -> Iterator[None]:
    """Ignore SIGUSR1 outside of `Interrupts`; by default it would end the process."""
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

    Python delivers signals to the main thread alone; in any other thread this does nothing.

    Args:
        agreed: Whether several ranks agree on the signals at the end of a step; before that, only
            `received` and `received_save` are set.
    """

    def __init__(self, *, agreed: bool = False) -> None:
        self.agreed = agreed
        self.number: int | None = None  # 0 when the run ends without a signal
        self.early = ""  # why the run itself ends before its last step
        self.stopping = ""  # why a callback or a hook asks this process to end the run as FINISHED
        self.stopped = ""  # the same, once all ranks know
        self.save = False  # whether a checkpoint was requested
        self.received: int | None = None  # by this process
        self.received_save = False
        self._leave: Callable[[], None] | None = None  # how a signal ends the run within its step
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                self._before[number] = signal.signal(number, self._end)
            if _SAVING is not None:
                self._before[_SAVING] = signal.signal(_SAVING, self._save)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def end(self, why: str) -> None:
        """End the run after its step, as a signal does, for the reason given."""
        if self.number is None:
            self.number, self.early = 0, why

    def stop(self, why: str) -> None:
        """End the run as FINISHED after its step; the first reason counts."""
        self.stopping = self.stopping or why

    def resume_stopped(self, why: str) -> None:
        """Restore that the run had been stopped, when it was; an empty text changes nothing."""
        self.stopping = self.stopped = why

    @contextmanager
    def at_once(self, leave: Callable[[], None]) -> Iterator[None]:
        """End the run at once by a signal inside this context, before a step that takes long.

        It calls `leave` and raises KeyboardInterrupt; one that came just before raises it, too.
        Ranks that agree on signals end after the step, since the others would wait for one that
        left.
        """
        self._leave = None if self.agreed else leave
        try:
            if self._leave is not None and self.number:
                raise KeyboardInterrupt
            yield
        finally:
            self._leave = None

    def _end(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None and number == signal.SIGINT
        if not again:
            self.received = number
            if not self.agreed:
                self.number = number
        if self._leave is not None:
            self._leave()
            raise KeyboardInterrupt
        if again:
            raise KeyboardInterrupt

    def _save(self, number: int, frame: FrameType | None) -> None:
        self.received_save = True
        if not self.agreed:
            self.save = True
