"""Rows of a file by their numbers, each read from its place in the file.

A mapping of the file would read what lies around a row, too, and its pages would count as the
process's memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ebmcore import DataError


class RowPlaces(NamedTuple):
    """Where the rows of an array lie in a file, one after the other."""

    path: Path
    offset: int  # bytes before the first row
    shape: tuple[int, ...]  # of a row
    dtype: np.dtype[Any]

    def read(self, numbers: Tensor) -> np.ndarray[Any, Any]:
        """Read rows, (k,) -> (k, *event). Raises OSError, and DataError when the file is cut."""
        rows = np.empty((len(numbers), *self.shape), self.dtype)
        size = rows[0].nbytes if len(rows) else 0
        if not size:
            return rows
        bytes_ = rows.reshape(-1).view(np.uint8).data
        ordered = numbers.sort()  # the disk's own order
        with self.path.open("rb", buffering=0) as file:
            for row, place in zip(ordered.values.tolist(), ordered.indices.tolist(), strict=True):
                file.seek(self.offset + row * size)
                part = bytes_[place * size : (place + 1) * size]
                while len(part):
                    if not (read := file.readinto(part)):
                        raise DataError(f"{self.path} is damaged: it ends within row {row}")
                    part = part[read:]
        return rows
