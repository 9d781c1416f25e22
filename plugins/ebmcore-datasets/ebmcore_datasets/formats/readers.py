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

from ebmcore import DataError
from ebmcore_datasets.formats.arrays import from_numpy, load_pt, real_tensor
from ebmcore_datasets.formats.row_reads import RowPlaces

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
        """Read rows."""
        if rows.step not in (None, 1):
            return self.at(torch.arange(*rows.indices(self.shape[0])))
        return from_numpy(lambda: np.array(self._mapped()[rows]), self.source)

    def at(self, numbers: Tensor) -> Tensor:
        """Read rows by their numbers, (k,), each from its own place where it has one."""
        if self.order == "F" and len(self.shape) > 1:
            return from_numpy(lambda: np.array(self._mapped()[numbers.numpy()]), self.source)
        places = RowPlaces(self.path, self.begins, self.shape[1:], self.dtype)
        return from_numpy(lambda: places.read(numbers), self.source)

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

    def at(self, numbers: Tensor) -> Tensor:
        """Raise DataError: each row would unpack all those before it."""
        raise DataError(
            f"{self.source} is compressed, so that its rows can't be read one by one: save it with "
            "numpy.savez, which doesn't compress, or as a .npy file, or leave out the loader"
        )

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
        """Read rows."""
        if rows.step not in (None, 1):
            return self.at(torch.arange(*rows.indices(len(self.tensor()))))
        return self.tensor()[rows].clone()

    def at(self, numbers: Tensor) -> Tensor:
        """Read rows by their numbers, (k,), a few at once."""
        read = [self.tensor()[part] for part in torch.split(numbers.long(), _APART)]
        return torch.cat(read) if read else self.tensor()[:0].clone()

    def tensor(self) -> Tensor:
        """Return the tensor, in the file. Raises DataError when it holds no real numbers."""
        data = load_pt(self.path, mmap=True)
        if self.name is None:
            return real_tensor(data, str(self.path))
        by_name = {str(name): value for name, value in data.items()}
        return real_tensor(by_name[self.name], f"{self.path} [{self.name}]")
