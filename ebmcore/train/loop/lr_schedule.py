"""Steps the learning-rate schedule: each epoch, each step, or when its metric is recorded."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ebmcore.distributed.comm import Ranks
from ebmcore.errors import ConfigError, Problem
from ebmcore.train.components import Parts, blame


class LRSchedule:
    """The schedule of a run on one rank; every rank steps its own at the same steps.

    Args:
        parts: With the schedule, its interval or its metric.
        ranks: Rank 0 hands the metric to the others, since it alone runs the monitors.
        steps_per_epoch: Training steps in a pass over the data.
    """

    def __init__(self, parts: Parts, ranks: Ranks, steps_per_epoch: int) -> None:
        self.schedule: Any = parts.lr_scheduler
        self.metric = None if parts.lr_scheduler is None else parts.lr_metric
        self.each_step = parts.lr_interval == "step"
        self.steps_per_epoch = steps_per_epoch
        self.monitors = {entry.name for entry in parts.monitors}
        self.callbacks_log = any("on_metrics" in entry.events for entry in parts.callbacks)
        self.ranks = ranks

    def after_step(self, step: int) -> None:
        """Step a schedule of intervals, if one ends with this training step."""
        if self.schedule is None or self.metric is not None:
            return
        if self.each_step or step % self.steps_per_epoch == 0:
            self._step(step)

    def recorded(self, step: int, metrics: Mapping[str, float], *, of_monitors: bool) -> None:
        """Step a schedule of a metric if the metric is among those that were just recorded.

        Every rank calls it at the same steps. Raises ConfigError when the run records no such
        metric.
        """
        if self.metric is None:
            return
        here = metrics.get(self.metric)
        if here is None and not of_monitors and "loss" in metrics:
            self._check(metrics)
        text = self.ranks.broadcast_text("" if here is None else repr(float(here)))
        if text:
            self._step(step, float(text))

    def _step(self, step: int, *metric: float) -> None:
        with blame(f"lr_scheduler {type(self.schedule).__name__}", step):
            self.schedule.step(*metric)

    def _check(self, metrics: Mapping[str, float]) -> None:
        """Refuse a metric that is none of the training's, of a monitor or of a callback."""
        first = "" if self.metric is None else self.metric.partition("/")[0]
        if self.metric is None or first in self.monitors:
            return
        if self.callbacks_log and first not in ("loss", "train"):
            return  # it may come later
        near = difflib.get_close_matches(self.metric, metrics, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        monitors = ", ".join(f"{name}/…" for name in sorted(self.monitors))
        message = (
            f"this run records no metric {self.metric!r}. {hint}There are: {', '.join(metrics)}"
            f"{f', and of the monitors {monitors}' if monitors else ''}."
        )
        raise ConfigError([Problem("lr_scheduler.metric", message)])
