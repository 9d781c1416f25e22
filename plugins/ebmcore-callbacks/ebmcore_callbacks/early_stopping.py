"""Early stopping: a run ends when a metric has not improved for some of its records.

A record improves on the best one so far, b, if it is below b - min_delta (mode min) or above
b + min_delta (mode max). Source: Prechelt, Early Stopping - But When?, 1998, criterion UP with
single records in place of strips.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ebmcore import Callback, LiveRun, NonNegativeFloat, PositiveInt


class EarlyStopping(Callback):
    """Stop when a metric has not improved for `patience` of its records.

    NaN and infinity never improve, so that they count against the patience. The loss of an
    energy-based model may not fall while the model improves: take a monitor's metric, such as
    exact_likelihood/nll, where there is one. `train.keep_best` keeps the best weights.

    Args:
        metric: Its name in metrics.jsonl, such as loss or exact_likelihood/nll.
        patience: Records of the metric without an improvement after which the run stops.
        min_delta: The least change that counts as an improvement, in the metric's unit.
        mode: Whether lower or higher values are better.
    """

    check_params: ClassVar = {"metric": "loss"}
    metrics: ClassVar = ()  # it logs none
    follows: ClassVar = ("metric",)

    def __init__(
        self,
        *,
        metric: str,
        patience: PositiveInt = 10,
        min_delta: NonNegativeFloat = 0.0,
        mode: Literal["min", "max"] = "min",
    ) -> None:
        if not metric.strip():
            raise ValueError("metric: should name a metric, such as loss")
        self.metric = metric
        self.patience = patience
        self.min_delta = min_delta
        self.sign = 1.0 if mode == "min" else -1.0
        self.best: float | None = None
        self.best_step = 0
        self.records = 0
        self.without = 0  # records since the best one

    def on_metrics(self, run: LiveRun, step: int, metrics: Mapping[str, float]) -> None:
        """Compare a record with the best one."""
        if self.metric not in metrics:
            return
        value = float(metrics[self.metric])
        self.records += 1
        if self._improves(value):
            self.best, self.best_step, self.without = value, step, 0
            return
        self.without += 1
        if self.without >= self.patience:
            best = "no finite value so far"
            if self.best is not None:
                best = f"best {self.best:.6g} at step {self.best_step}"
            run.stop(
                f"{self.metric} did not improve in {self.without} records: {best}, {value:.6g} now"
            )

    def on_end(self, run: LiveRun, status: str) -> None:
        """Warn of a metric that never came."""
        if self.records or status != "FINISHED":
            return
        near = difflib.get_close_matches(self.metric, run.metrics, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        there = ", ".join(sorted(run.metrics)) or "none"
        run.warn(
            f"early_stopping: no metric {self.metric!r} was recorded, so it never looked; {hint}"
            f"there are: {there}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the best record and the records since."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "records": self.records,
            "without": self.without,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self.best, self.best_step = state["best"], state["best_step"]
        self.records, self.without = state["records"], state["without"]

    def _improves(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        return self.best is None or self.sign * (self.best - value) > self.min_delta
