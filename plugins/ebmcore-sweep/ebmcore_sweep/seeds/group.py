"""The results of a group of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ebmcore import EbmError
from ebmcore.runner import run_directory
from ebmcore.runs import children_by_key, is_parent, read_account, read_children
from ebmcore_sweep.seeds.curves import HIGH, LOW, final, is_end
from ebmcore_sweep.seeds.statistics import Spread


class Group:
    """A parent and its children: its metrics are the children's medians and their intervals."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory
        self.status = "RUNNING"
        self.metrics: dict[str, float] = {}  # the last of each: NAME, NAME.low and NAME.high
        self.children: dict[str, Path] = {}  # key, such as seed-3 -> run directory; the finished
        self.failed: dict[str, str] = {}  # key -> why it has not finished
        self.warnings: list[str] = []

    @classmethod
    def load(cls, run_dir: str | Path) -> Group:
        """Open a group that has ended. Raises EbmError when the directory is no parent's."""
        account = read_account(run_directory(run_dir))
        if account.problem is not None:
            raise EbmError(f"{account.path}: {account.problem}")
        facts = account.facts
        if not is_parent(facts):
            raise EbmError(f"{run_dir}: is a run of its own, not the parent of runs")
        group = cls(account.path)
        group.status = account.status
        children = children_by_key(read_children(account.path))
        members = facts.get("members")
        keys = members if isinstance(members, list) else []
        group.children = {key: children[key].path for key in keys if key in children}
        metrics, failed = facts.get("metrics"), facts.get("failed")
        group.metrics = final(metrics) if isinstance(metrics, dict) else {}
        if isinstance(failed, dict):
            group.failed = {str(key): str(why) for key, why in failed.items()}
        warnings = facts.get("warnings")
        group.warnings = list(map(str, warnings)) if isinstance(warnings, list) else []
        return group

    @property
    def mlflow_run_id(self) -> str | None:
        """The id of the parent's MLflow run, None when there is none."""
        mlflow = read_account(self.dir).facts.get("mlflow")
        found = mlflow.get("run_id") if isinstance(mlflow, dict) else None
        return found if isinstance(found, str) else None

    def spreads(self) -> dict[str, Spread]:
        """Return the last median and interval of each metric."""
        nan, n = float("nan"), len(self.children)
        return {
            name: Spread(
                value, self.metrics.get(name + LOW, nan), self.metrics.get(name + HIGH, nan), n
            )
            for name, value in sorted(self.metrics.items())
            if not is_end(name)
        }

    def finals(self) -> dict[str, list[float]]:
        """Return the last value of each metric that all children have, one for each child."""
        found = []
        for path in self.children.values():
            metrics = read_account(path).facts.get("metrics")
            found.append(final(metrics) if isinstance(metrics, dict) else {})
        shared = set.intersection(*map(set, found)) if found else set()
        return {name: [metrics[name] for metrics in found] for name in sorted(shared)}

    def summary(self) -> dict[str, Any]:
        """Return the document that `ebmcore seeds --json` prints."""
        return {
            "status": self.status,
            "run_dir": str(self.dir),
            "mlflow_run_id": self.mlflow_run_id,
            "metrics": self.metrics,
            "children": {key: str(path) for key, path in self.children.items()},
            "failed": self.failed,
            "warnings": self.warnings,
        }

    def __repr__(self) -> str:
        return f"<Group {self.dir} {self.status}, {len(self.children)} runs>"
