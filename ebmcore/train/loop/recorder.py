"""The loop's outlet: the loop itself writes nothing."""

from __future__ import annotations

from typing import Any, Protocol

from ebmcore.train.divergence import Divergence
from ebmcore.train.types import Silent


class Recorder(Protocol):
    """Records a run's progress; the loop calls it on every rank."""

    @property
    def progress(self) -> Silent:
        """The display of the run's progress."""

    def write(self, step: int, metrics: dict[str, float]) -> dict[str, float]:
        """Record metrics of a step; return them and those that callbacks logged of them."""

    def save(self, why: str) -> None:
        """Write a checkpoint of the loop's state, for the reason given."""

    def warn(self, text: str) -> None:
        """Record a warning and show it, once for all ranks."""

    def diverged(self, divergence: Divergence) -> None:
        """Roll the loop back to a checkpoint, or raise DivergenceError."""

    def event(self, step: int, event: str, **facts: Any) -> None:
        """Record an event other than a step's metrics."""
