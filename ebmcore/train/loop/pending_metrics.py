"""Metrics on the device, until those of a logging interval are fetched together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ebmcore.distributed.comm import Ranks
from ebmcore.train.components import Parts
from ebmcore.train.divergence import Divergence, first_non_finite


class PendingMetrics:
    """The metrics of steps that are done and not yet recorded.

    Args:
        parts: A divergence names the part that caused it.
        ranks: Metrics are averaged over them.
    """

    def __init__(self, parts: Parts, ranks: Ranks) -> None:
        self.parts = parts
        self.ranks = ranks
        self.fetched = 0  # the step of the last fetch
        self.finite: dict[str, float] = {}  # the last finite value of each metric
        self._rows: list[tuple[int, dict[str, Tensor]]] = []  # metrics by step
        self._checked = 0  # how many rows are known to be finite

    def add(self, step: int, metrics: dict[str, Tensor]) -> None:
        """Add the metrics of a step, counted from 1."""
        self._rows.append((step, metrics))

    def clear(self) -> None:
        """Drop the pending metrics: they are recorded, or their steps were rolled back."""
        self._rows, self._checked = [], 0

    def columns(self) -> dict[str, list[float]]:
        """Return each metric that every pending step has, at each of these steps."""
        return self.to_host([row for _, row in self._rows])

    def to_host(self, rows: Sequence[Mapping[str, Tensor]]) -> dict[str, list[float]]:
        """Return the values of each name that all rows have, averaged over the ranks."""
        names = [name for name in (rows[0] if rows else ()) if all(name in row for row in rows)]
        columns = [torch.stack([row[name] for row in rows]) for name in names]
        if self.ranks.size > 1 and columns:
            columns = list(self.ranks.mean_(torch.stack([c.double() for c in columns]).cpu()))
        return {name: column.tolist() for name, column in zip(names, columns, strict=True)}

    def divergence_in(self, columns: Mapping[str, list[float]]) -> Divergence | None:
        """Return the first non-finite value; without one, remember the last value of each."""
        steps = [step for step, _ in self._rows]
        divergence = first_non_finite(self.parts, columns, steps, self.finite)
        if divergence is None:
            self.finite |= {name: values[-1] for name, values in columns.items()}
        return divergence

    def check(self) -> Divergence | None:
        """Return the first non-finite value of the rows that were not checked yet."""
        if len(self._rows) <= self._checked:
            return None
        self._checked = len(self._rows)
        return self.divergence_in(self.columns())

    def rows(self) -> list[list[Any]]:
        """Return the pending metrics as [step, {name: value}], for a checkpoint."""
        return [[step, dict(row)] for step, row in self._rows]

    def restore(self, rows: Sequence[Any], device: torch.device) -> None:
        """Take over the rows of a checkpoint, which were checked before it was written."""
        self._rows = [
            (step, {name: value.to(device) for name, value in row.items()}) for step, row in rows
        ]
        self._checked = len(self._rows)
