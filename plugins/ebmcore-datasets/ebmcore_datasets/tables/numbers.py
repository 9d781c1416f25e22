"""Facts about a column of numbers, gathered while its blocks are read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from ebmcore_datasets.tables.cells import Cells

FEW = 20  # different values that a column of classes has at most


class At(NamedTuple):
    """A row, counted from 0, and its number."""

    row: int
    value: int | float


class Numbers:
    """Facts about a column, after any number of blocks.

    Attributes:
        n: How many rows there were.
        missing: How many cells are missing, and the first of them is in row `first_missing`.
        infinite: The first number that isn't finite in the run's dtype; `n_infinite` counts them.
        whole: Whether every number is written as a whole number.
        lost: The first whole number that the dtype, or 64 bits, can't hold.
        counts: Whether each number is the one before it plus 1.
        values: The different numbers, as long as there are few.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.n = 0
        self.missing = 0
        self.first_missing = -1
        self.infinite: At | None = None
        self.n_infinite = 0
        self.whole = True
        self.lost: At | None = None
        self.counts = True
        self.values: set[float] | None = set()
        self._last: float | None = None

    def add(self, cells: Cells) -> None:
        """Take another block into account."""
        values = cells.values
        absent = np.isnan(values)
        if absent.any():
            if not self.missing:
                self.first_missing = self.n + int(absent.argmax())
            self.missing += int(absent.sum())
            values = values[~absent]
        self.whole = self.whole and cells.whole is not None
        self._count(values, gap=bool(absent.any()))
        self._find_infinite(cells.values)
        if self.whole and cells.whole is not None:
            self._find_lost(cells.whole)
        if self.values is not None:
            self.values |= set(np.unique(values).tolist())
            if len(self.values) > FEW:
                self.values = None
        self.n += len(cells.values)

    def _count(self, values: np.ndarray[Any, Any], *, gap: bool) -> None:
        if not self.counts or not len(values):
            return
        begins = self._last is None or values[0] == self._last + 1
        self.counts = self.whole and not gap and begins and bool((np.diff(values) == 1).all())
        self._last = float(values[-1])

    def _find_infinite(self, values: np.ndarray[Any, Any]) -> None:
        with np.errstate(invalid="ignore"):
            beyond = np.abs(values) > torch.finfo(self.dtype).max
        if beyond.any():
            row = int(beyond.argmax())
            self.infinite = self.infinite or At(self.n + row, float(values[row]))
            self.n_infinite += int(beyond.sum())

    def _find_lost(self, whole: np.ndarray[Any, Any]) -> None:
        most = 2 / torch.finfo(self.dtype).eps  # every whole number up to it is held
        beyond = np.flatnonzero(np.abs(whole.astype(np.float64)) > most)
        for row in beyond.tolist() if self.lost is None else ():
            number = int(whole[row])
            became = torch.tensor(float(number), dtype=torch.float64).to(self.dtype).item()
            wide = not -(2**63) <= number < 2**63
            if wide or not np.isfinite(became) or int(became) != number:
                self.lost = At(self.n + row, number)
                return
