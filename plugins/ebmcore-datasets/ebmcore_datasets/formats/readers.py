"""Readers of some rows of an array in a file: mapped, unpacked in order, or loaded by torch."""

from __future__ import annotations

import math
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from ebmcore_datasets.formats.arrays import from_numpy, load_pt, real_tensor

_APART = 64  # rows far from each other that a map may hold in memory


@dataclass(frozen=True)
class Mapped:
    """Reads rows of an array whose bytes lie in a file as they are.

    Each reading maps the file into memory, copies the rows and lets go of it: pages that stay
    mapped would count as the process's memory.
    """

    path: Path
    source: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Any
    begins: int

    def __call__(self, rows: slice) -> Tensor:
        """Read rows, one by one where they lie apart."""
        return from_numpy(lambda: self._array(range(*rows.indices(self.shape[0]))), self.source)

    def _array(self, rows: range) -> np.ndarray[Any, Any]:
        if rows.step == 1:
            return np.array(self._mapped()[rows.start : rows.stop])
        return np.stack([np.array(self._mapped()[row]) for row in rows])

    def _mapped(self) -> np.ndarray[Any, Any]:
        return np.memmap(self.path, self.dtype, "r", self.begins, self.shape, self.order)


class Inflated:
    """Reads rows of a compressed array in a .npz file, fastest from the first to the last.

    It unpacks the array anew from its beginning for rows before those that it read last.
    """

    def __init__(
        self, path: Path, member: str, dtype: np.dtype[Any], shape: tuple[int, ...], begins: int
    ) -> None:
        self.path = path
        self.member = member
        self.source = f"{path} [{member.removesuffix('.npy')}]"
        self.dtype = dtype
        self.shape = shape
        self.begins = begins
        self._stream: IO[bytes] | None = None
        self._process = 0

    def __call__(self, rows: slice) -> Tensor:
        """Read rows. Raises DataError when the file is damaged."""
        return from_numpy(lambda: self._array(range(*rows.indices(self.shape[0]))), self.source)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the open file, for another process."""
        return {**vars(self), "_stream": None}

    def _array(self, rows: range) -> np.ndarray[Any, Any]:
        array = np.empty((len(rows), *self.shape[1:]), self.dtype)
        if rows.step == 1:
            self._fill(array, rows.start)
        else:
            for i, row in enumerate(rows):
                self._fill(array[i : i + 1], row)
        return array

    def _fill(self, array: np.ndarray[Any, Any], row: int) -> None:
        if not array.size:
            return
        stream = self._opened()
        stream.seek(self.begins + row * math.prod(self.shape[1:]) * self.dtype.itemsize)
        unpacked = stream.read(array.nbytes)  # at the end it compares the checksum
        if len(unpacked) < array.nbytes:
            raise EOFError(f"it ends within row {row} or after it")
        array[:] = np.frombuffer(unpacked, self.dtype).reshape(array.shape)
        if row + len(array) == self.shape[0]:
            stream.close()
            self._stream = None

    def _opened(self) -> IO[bytes]:
        if self._stream is None or self._process != os.getpid():  # forks share a file's position
            with zipfile.ZipFile(self.path) as archive:
                self._stream = archive.open(self.member)  # stays open after the archive
            self._process = os.getpid()
        return self._stream


@dataclass(frozen=True)
class Loaded:
    """Reads rows of a tensor in a .pt file, or of that with a name, mapped anew at each reading."""

    path: Path
    name: str | None

    def __call__(self, rows: slice) -> Tensor:
        """Read rows, a few at once where they lie apart."""
        if rows.step in (None, 1):
            return self.tensor()[rows].clone()
        start, stop, step = rows.indices(len(self.tensor()))
        span = _APART * step
        return torch.cat(
            [
                self.tensor()[i : min(i + span, stop) : step].clone()
                for i in range(start, stop, span)
            ]
        )

    def tensor(self) -> Tensor:
        """Return the tensor, in the file. Raises DataError when it holds no real numbers."""
        data = load_pt(self.path, mmap=True)
        if self.name is None:
            return real_tensor(data, str(self.path))
        by_name = {str(name): value for name, value in data.items()}
        return real_tensor(by_name[self.name], f"{self.path} [{self.name}]")
