"""The best checkpoint of a run, by a metric that the config names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ebmcore.config import Wanted


class Best:
    """Tracks the best value of `train.keep_best`: lowest for `NAME`, highest for `max NAME`."""

    def __init__(self, wanted: str | None) -> None:
        self.name, highest = Wanted.parse(wanted)
        self.sign = -1.0 if highest else 1.0
        self.value: float | None = None
        self.step: int | None = None

    def update(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Return whether the metric improved; remember its value if so."""
        value = metrics.get(self.name, math.nan)
        better = self.value is None or self.sign * value < self.sign * self.value
        if not math.isfinite(value) or not better:
            return False
        self.value, self.step = value, step
        return True

    def why_none(self, history: Mapping[str, Sequence[tuple[int, float]]]) -> str:
        """Return why there is no best checkpoint, from the values (step, value) of all metrics."""
        values = history.get(self.name, ())
        if not values:
            there = ", ".join(sorted(history)) or "none"
            return f"no metric {self.name!r} was recorded; there are: {there}"
        times = "once" if len(values) == 1 else f"{len(values)} times"
        return (
            f"{self.name!r} was recorded {times} and was never a finite number (last: "
            f"{values[-1][1]} at step {values[-1][0]}), so there is no best checkpoint"
        )

    def state(self) -> dict[str, Any] | None:
        """Return the field `best` of run.json; None before the first finite value."""
        if self.step is None:
            return None
        return {"metric": self.name, "value": self.value, "step": self.step}

    def load(self, state: Mapping[str, Any] | None) -> None:
        """Restore what `state` returned."""
        if state and state["metric"] == self.name:
            self.value, self.step = state["value"], state["step"]
