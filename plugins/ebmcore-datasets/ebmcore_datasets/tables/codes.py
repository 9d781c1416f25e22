"""A column whose values are numbered: labels, and categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ebmcore_datasets.tables.cells import is_number, texts

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


class Codes:
    """Numbers the values of a column by their order of appearance, a block at a time.

    Attributes:
        values: The values, as text; whole numbers and truth values as integers are written.
        missing: The first row without one, counted from 0.
    """

    def __init__(self) -> None:
        self.values: list[str] = []
        self.missing: int | None = None
        self.n = 0
        self._numbers: dict[str, int] = {}
        self._first: list[int] = []  # row of each value

    def add(self, array: pa.Array) -> np.ndarray[Any, Any]:
        """Return the block's codes, (k,) int64; -1 where a cell is missing."""
        encoded = texts(array).dictionary_encode()
        indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        own = [self._number(_written(text)) for text in encoded.dictionary.to_pylist()]
        codes: np.ndarray[Any, Any] = np.array([*own, -1], dtype=np.int64)[indices]
        for code, row in zip(*np.unique(codes, return_index=True), strict=True):
            if code < 0 and self.missing is None:
                self.missing = self.n + int(row)
            elif code >= len(self._first):
                self._first.append(self.n + int(row))
        self.n += len(codes)
        return codes

    def row_of(self, value: str) -> int:
        """Return the first row with a value."""
        return self._first[self._numbers[value]]

    def ordered(self) -> tuple[str, ...]:
        """Return the values in their order: by size if all are numbers, or else as text."""
        by_size = all(map(is_number, self.values))
        return tuple(sorted(self.values, key=float if by_size else None))

    def order(self, known: Sequence[str]) -> np.ndarray[Any, Any]:
        """Return, for each code, the place of its value among known ones, as float64."""
        places = {value: place for place, value in enumerate(known)}
        return np.array([places[value] for value in self.values], dtype=np.float64)

    def whole_numbers(self) -> list[int] | None:
        """Return the values as integers; None when one is something else."""
        if not all(is_number(value) and float(value).is_integer() for value in self.values):
            return None
        return [int(value) for value in self.values]

    def fractions(self) -> list[str]:
        """Return the values that are numbers, and no whole ones."""
        numbers = filter(is_number, self.values)
        return [value for value in numbers if not float(value).is_integer()]

    def _number(self, text: str) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(self.values)
            self.values.append(text)
        return self._numbers[text]


def _written(text: str) -> str:
    """Return 1.0, +1 and True as 1."""
    truth = {"true": "1", "false": "0"}.get(text.lower())
    if truth is not None:
        return truth
    if text.lstrip("+-").isdigit():
        return str(int(text))
    return str(int(float(text))) if is_number(text) and float(text).is_integer() else text
