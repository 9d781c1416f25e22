"""A cadence: how often something happens, written `20 epochs`, `500 steps` or `end`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

PATTERN = r"^\s*(?:([1-9][0-9]*)\s+(epoch|epochs|step|steps)|end)\s*$"


@dataclass(frozen=True)
class Cadence:
    """Every `count` units, and always once more at the end of the run."""

    count: int
    unit: str  # "epoch", "step" or "end"

    @classmethod
    def parse(cls, text: Any) -> Cadence:
        """Read the text form. Raises ValueError that shows what would be right."""
        match = re.match(PATTERN, text) if isinstance(text, str) else None
        if match is None:
            raise ValueError("should be a cadence such as '20 epochs', '500 steps' or 'end'")
        if match[1] is None:
            return cls(1, "end")
        return cls(int(match[1]), match[2].rstrip("s"))

    def is_due(self, step: int, steps_per_epoch: int) -> bool:
        """Whether it is time after `step` training steps; the end of the run is the caller's."""
        if self.unit == "end" or step == 0:
            return False
        return step % (self.count * (steps_per_epoch if self.unit == "epoch" else 1)) == 0
