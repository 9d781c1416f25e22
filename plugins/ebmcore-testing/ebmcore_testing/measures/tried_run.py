"""A run that takes notes of its callbacks' requests, in place of one that trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from ebmcore_testing.measures.models import Gaussian


class Request(NamedTuple):
    """A request of a callback."""

    method: str
    step: int
    name: str  # of the metric or the file; the reason of a stop
    value: float | None = None


class TriedRun:
    """A `LiveRun` of a stranger's config, so that a callback runs no command of it."""

    mlflow_run_id = None
    is_own = False

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.dir = folder
        self.status = "RUNNING"
        self.step = 0
        self.stopped = ""
        self.metrics: dict[str, float] = {}
        self.warnings: list[str] = []
        self.energy: nn.Module = Gaussian(shape, scale=1.1)
        self.requests: list[Request] = []

    def log_metric(self, name: str, value: float) -> None:
        """Note a metric."""
        self.requests.append(Request("log_metric", self.step, name, float(value)))

    def log_artifact(self, path: str | Path, name: str | None = None) -> Path:
        """Note a file."""
        name = Path(path).name if name is None else name
        self.requests.append(Request("log_artifact", self.step, name))
        return self.dir / name

    def warn(self, text: str) -> None:
        """Note a warning."""
        self.warnings.append(text)

    def stop(self, reason: str) -> None:
        """Note the first wish to stop."""
        if not self.stopped:
            self.stopped = reason
            self.requests.append(Request("stop", self.step, reason))

    def summary(self) -> dict[str, Any]:
        """Return the status and the metrics."""
        return {"status": self.status, "metrics": self.metrics, "stopped": self.stopped}
