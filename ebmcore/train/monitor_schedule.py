"""The steps at which monitors are due; `monitoring.run` extends it to run them on rank 0."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ebmcore.contracts import Chains
from ebmcore.train.components import Parts
from ebmcore.train.types import StepResult


class MonitorSchedule:
    """The steps at which monitors are due, the same on every rank; this class runs none."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def due(self, step: int, steps_per_epoch: int, end: bool) -> bool:
        """Whether a monitor is due after `step` training steps, switched off or not."""
        return any(entry.is_due(step, steps_per_epoch, end) for entry in self.parts.monitors)

    def __call__(
        self,
        energy: nn.Module,
        last: StepResult | None,
        step: int,
        steps_per_epoch: int,
        end: bool,
        chains: Chains | None,
        networks: Mapping[str, nn.Module] | None = None,
    ) -> dict[str, float]:
        """Run no monitor."""
        return {}
