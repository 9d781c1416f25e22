"""Rows of a table that are kept while it is read: in memory, or in a file that has no name."""

from __future__ import annotations

import os
import sys
import tempfile
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebmcore import DataError, RowsInParts

IN_MEMORY = 2**26  # bytes of a table; a larger one goes to a file
_NAMELESS = sys.platform == "linux"  # where another process can open a file without a name


class Spool:
    """Takes blocks of rows, float64 (k, columns), in turn.

    A table of more than 64 MiB goes to a temporary file in the folder that TMPDIR names, which
    nobody else sees and which is gone when its rows are.
    """

    def __init__(self, columns: int, in_memory: int | None = None) -> None:
        self.columns = columns
        self.most = (IN_MEMORY if in_memory is None else in_memory) if _NAMELESS else sys.maxsize
        self.n = 0
        self._blocks: list[np.ndarray[Any, Any]] = []
        self._bytes = 0
        self._file: NamelessFile | None = None

    def add(self, block: np.ndarray[Any, Any]) -> None:
        """Keep some more rows. Raises DataError when the disk is full."""
        if not block.size:
            return
        self.n += len(block)
        self._bytes += block.nbytes
        self._blocks.append(block)
        if self._file is not None or self._bytes > self.most:
            self._write()

    def rows(self) -> RowsInParts:
        """Return all rows, float64."""
        if self._file is not None:
            return FileRows(self._file, (self.n, self.columns))
        blocks = self._blocks or [np.empty((0, self.columns))]
        self._blocks = []
        return MemoryRows(torch.from_numpy(np.concatenate(blocks)))

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = NamelessFile()
            for block in self._blocks:
                self._file.append(np.ascontiguousarray(block).data.cast("B"))
        except OSError as error:
            raise DataError(
                f"the table's numbers need a temporary file of about {self._bytes / 1e6:.0f} MB or "
                f"more in {tempfile.gettempdir()}: {error.strerror}. Set TMPDIR to another folder"
            ) from error
        self._blocks = []


class MemoryRows(RowsInParts):
    """Rows that are in memory."""

    def __init__(self, rows: Tensor) -> None:
        self.all = rows
        self.shape = rows.shape
        self.dtype = rows.dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Return some of the rows."""
        return self.all[rows]

    def at(self, numbers: Tensor) -> Tensor:
        """Return rows by their numbers."""
        return self.all[numbers.long()]


class FileRows(RowsInParts):
    """Rows, float64, in a file without a name."""

    def __init__(self, file: NamelessFile, shape: tuple[int, int]) -> None:
        self.file = file
        self.shape = torch.Size(shape)
        self.dtype = torch.float64

    def __getitem__(self, rows: slice) -> Tensor:
        """Read some of the rows."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self.at(torch.arange(start, stop, step))
        found = np.empty((max(0, stop - start), self.shape[1]))
        self._fill(found, start)
        return torch.from_numpy(found)

    def at(self, numbers: Tensor) -> Tensor:
        """Read rows by their numbers, each from its place."""
        found = np.empty((len(numbers), self.shape[1]))
        ordered = numbers.sort()
        for row, place in zip(ordered.values.tolist(), ordered.indices.tolist(), strict=True):
            self._fill(found[place : place + 1], row)
        return torch.from_numpy(found)

    def _fill(self, found: np.ndarray[Any, Any], row: int) -> None:
        if found.size:
            self.file.fill(found.data.cast("B"), row * self.shape[1] * 8)


class NamelessFile:
    """Bytes in the folder that TMPDIR names; forks and pickled copies read the same ones.

    Raises OSError as files do.
    """

    def __init__(self) -> None:
        with tempfile.TemporaryFile(prefix="ebmcore-", buffering=0) as file:
            self._own(os.dup(file.fileno()))

    def _own(self, number: int) -> None:
        self.number = number
        weakref.finalize(self, os.close, number)

    def append(self, data: memoryview) -> None:
        """Write bytes at the end."""
        while data:
            data = data[os.write(self.number, data) :]

    def fill(self, data: memoryview, offset: int) -> None:
        """Read bytes from an offset on. Raises EOFError when they end before."""
        while data:
            count = os.preadv(self.number, [data], offset)  # forks share no position so
            if not count:
                raise EOFError("the temporary file with the table's numbers was cut")
            data, offset = data[count:], offset + count

    def __getstate__(self) -> dict[str, Any]:
        """Return where another process finds the file while this one lives."""
        return {"path": f"/proc/{os.getpid()}/fd/{self.number}"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open it."""
        self._own(os.open(state["path"], os.O_RDONLY))
