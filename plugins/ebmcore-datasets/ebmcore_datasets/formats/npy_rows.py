"""Rows of a .npy file that are read as they are asked for: the file is never in memory whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebmcore import RowsInParts
from ebmcore_datasets.formats.arrays import from_numpy
from ebmcore_datasets.formats.row_reads import RowPlaces


class NpyRows(RowsInParts):
    """Rows of a .npy file, floats in a dtype and other numbers as they are.

    Each reading maps the file into memory, copies the rows and lets go of it: pages that stay
    mapped would count as the process's memory.

    Args:
        path: The file.
        event: The shape of an event, as large as that in the file, which is the default.
        dtype: The type of floats, by default the file's.

    Raises ValueError or OSError when the file can't be mapped, or holds other things than rows of
    real numbers.
    """

    def __init__(
        self,
        path: Path,
        event: tuple[int, ...] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.path = path
        self.event = event
        self.floats = dtype
        array = self._mapped()
        # whether torch can hold an unsigned number of 64 bits depends on all of them
        if not array.ndim or array.dtype.kind not in "fiub" or array.dtype.str[1:] == "u8":
            raise ValueError(f"{path} can't be read in parts")
        self.places = RowPlaces.of(path, array)
        self.shape = torch.Size((len(array), *(array.shape[1:] if event is None else event)))
        self.dtype = self[:0].dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Read some of the rows, (n', *event)."""
        if rows.step not in (None, 1):
            return self.at(torch.arange(*rows.indices(len(self))))
        return self._events(lambda: np.array(self._mapped()[rows]))

    def at(self, numbers: Tensor) -> Tensor:
        """Read rows by their numbers, (k,) -> (k, *event)."""
        if self.places is None:
            return self._events(lambda: np.array(self._mapped()[numbers.numpy()]))
        return self._events(partial(self.places.read, numbers))

    def _events(self, read: Callable[[], np.ndarray[Any, Any]]) -> Tensor:
        x = from_numpy(read, str(self.path))
        x = x if self.event is None else x.reshape(len(x), *self.event)
        return x.to(self.floats) if self.floats and x.is_floating_point() else x

    def _mapped(self) -> np.memmap[Any, Any]:
        array: np.memmap[Any, Any] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        return array
