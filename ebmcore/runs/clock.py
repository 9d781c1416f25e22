"""A clock that never goes back, even when somebody sets the machine's clock back."""

from __future__ import annotations

import math
import time

from ebmcore.runs.jsonl import as_number

_LATEST = 1e11  # seconds since 1970; a later recorded time counts as wrong


class Clock:
    """Seconds since 1970, each no earlier than the one before.

    When somebody sets the machine's clock back, its monotonic clock counts on.
    """

    def __init__(self) -> None:
        self._last = 0.0
        self._read = time.monotonic()  # the monotonic time of the last reading

    def __call__(self) -> float:
        """Return the time."""
        now = time.monotonic()
        self._last = max(time.time(), self._last + now - self._read)
        self._read = now
        return self._last

    def not_before(self, recorded: object) -> None:
        """Go on from a recorded time, if it is valid and later than the clock's."""
        number = as_number(recorded)
        if number is not None and math.isfinite(number):
            self._last = max(self._last, min(number, _LATEST))
