"""A cadence: how often something happens, written `20 epochs`, `500 steps` or `end`.

Monitors may also be `auto`, their own cadence as far as their share of the run's time allows.
Checkpoints may also go by the clock, `10 minutes`, since they don't change the training.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

PATTERN = r"^\s*(?:([1-9][0-9]*)\s+(epoch|epochs|step|steps)|end)\s*$"
_BY_CLOCK = r"^\s*([1-9][0-9]*|[0-9]+\.[0-9]+)\s+(minute|minutes)\s*$"

AUTO = "auto"
OWN = "1 epoch"  # of a monitor that has no cadence of its own


@dataclass(frozen=True)
class Cadence:
    """Every `count` units, and always once more at the end of the run."""

    count: float
    unit: str  # "epoch", "step", "end" or "minute"
    auto: bool = False  # whether a monitor is put off while it takes more than its share

    @classmethod
    def parse(cls, text: Any) -> Cadence:
        """Read the text form. Raises ValueError with an example of the right form."""
        match = re.match(PATTERN, text) if isinstance(text, str) else None
        if match is None:
            raise ValueError("should be a cadence such as '20 epochs', '500 steps' or 'end'")
        if match[1] is None:
            return cls(1, "end")
        return cls(int(match[1]), match[2].rstrip("s"))

    @classmethod
    def of_monitor(cls, text: Any, own: Any) -> Cadence:
        """Read a monitor's `every`: `auto` is the monitor's own, put off while it costs too much.

        Raises ValueError.
        """
        return replace(cls.parse(own), auto=True) if text == AUTO else cls.parse(text)

    @classmethod
    def parse_with_minutes(cls, text: Any) -> Cadence:
        """Read the text form, which may also be `10 minutes`. Raises ValueError."""
        match = re.match(_BY_CLOCK, text) if isinstance(text, str) else None
        if match is not None and float(match[1]) > 0:
            return cls(float(match[1]), "minute")
        try:
            return cls.parse(text)
        except ValueError as error:
            raise ValueError(
                "should be a cadence such as '500 steps', '20 epochs', '10 minutes' or 'end'"
            ) from error

    def is_due(self, step: int, steps_per_epoch: int) -> bool:
        """Tell whether it is due after `step` training steps.

        The caller handles the end of the run and cadences in minutes.
        """
        if self.unit in ("end", "minute") or step == 0:
            return False
        return step % (self.count * (steps_per_epoch if self.unit == "epoch" else 1)) == 0
