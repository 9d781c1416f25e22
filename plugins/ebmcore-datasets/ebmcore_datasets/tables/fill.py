"""Rows as events take them: columns picked, missing numbers filled, categories in their order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ebmcore import RowsInParts, row_slices

Impute = Literal["mean", "median"] | float
_AT_ONCE = 2**25  # numbers, of the columns whose medians are found together


@dataclass(frozen=True)
class Decode:
    """Changes rows, (n, k): fills NaN, orders codes of categories, picks columns, sets the type."""

    fill: tuple[float, ...] | None = None
    orders: Mapping[int, np.ndarray[Any, Any]] = field(default_factory=dict)
    columns: tuple[int, ...] | None = None
    dtype: torch.dtype | None = None

    def __call__(self, rows: Tensor) -> Tensor:
        """Return changed rows."""
        if self.columns is not None:
            rows = rows[:, list(self.columns)]
        if self.fill is not None and rows.is_floating_point():
            rows = torch.where(rows.isnan(), torch.tensor(self.fill, dtype=rows.dtype), rows)
        if self.orders:
            rows = rows.clone()
            for column, order in self.orders.items():
                rows[:, column] = torch.from_numpy(order)[rows[:, column].long()]
        return rows if self.dtype is None else rows.to(self.dtype)


class Decoded(RowsInParts):
    """Rows that are changed as they are read."""

    def __init__(self, rows: RowsInParts, decode: Decode) -> None:
        self.rows = rows
        self.decode = decode
        first = self[:0]
        self.shape = torch.Size((len(rows), *first.shape[1:]))
        self.dtype = first.dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Read some of the rows."""
        return self.decode(self.rows[rows])

    def at(self, numbers: Tensor) -> Tensor:
        """Read rows by their numbers."""
        return self.decode(self.rows.at(numbers))


def fills(rows: RowsInParts, impute: Impute) -> tuple[float, ...]:
    """Return the number that fills each column, (n, k) -> k; NaN for one without numbers.

    A mean or a median is that of all of the column's numbers, in all rows.
    """
    columns = rows.shape[1]
    if isinstance(impute, int | float):
        return (float(impute),) * columns
    if impute == "mean":
        total, count = torch.zeros(2, columns, dtype=torch.float64)
        for part in row_slices(rows):
            numbers = rows[part].double()
            total += numbers.nansum(0)
            count += (~numbers.isnan()).sum(0)
        return tuple((total / count).tolist())
    found: list[float] = []
    together = max(1, _AT_ONCE // max(1, len(rows)))
    for first in range(0, columns, together):
        some = [rows[part][:, first : first + together].double() for part in row_slices(rows)]
        for column in torch.cat(some).numpy().T:
            present = column[~np.isnan(column)]
            found.append(float(np.median(present)) if len(present) else math.nan)
    return tuple(found)
