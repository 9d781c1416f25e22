"""Rows of an array in a .npy, .npz or .pt file that are read as they are asked for."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ebmcore import RowsInParts
from ebmcore_datasets.formats.arrays import Contents, Rows, load_pt, read_npy, read_npz, read_pt
from ebmcore_datasets.formats.readers import Inflated, Loaded, Mapped

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip's member; then its name and more, so long


class StoredRows(RowsInParts):
    """Rows of an array in a file.

    Args:
        read: Reads the rows of a slice whose step is 1 or more, or by number, and returns a copy.
        shape: (n, *event).
    """

    def __init__(self, read: Mapped | Inflated | Loaded, shape: Sequence[int]) -> None:
        self.read = read
        self.shape = torch.Size(shape)
        self.dtype = self[:0].dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Read some of the rows, (n', *event)."""
        return self.read(rows)

    def at(self, numbers: Tensor) -> Tensor:
        """Read rows by their numbers, (k,) -> (k, *event)."""
        return self.read.at(numbers)


def npy_in_parts(path: Path) -> Contents:
    """Return a .npy file's rows; the array itself, or DataError, where it must be read whole."""
    return _or_whole(partial(_npy_rows, path), partial(read_npy, path))


def npz_in_parts(path: Path) -> Contents:
    """Return the rows of each array in a .npz file, likewise."""
    return {
        name: partial(_or_whole, partial(_npz_rows, path, name), whole)
        for name, whole in read_npz(path).items()
    }


def pt_in_parts(path: Path) -> Contents:
    """Return the rows of a tensor in a .pt file, or of each in a dict, likewise."""
    try:
        data = load_pt(path, mmap=True)
    except Exception:  # also from a format that torch can't map
        return read_pt(path)
    values = list(data.values()) if isinstance(data, Mapping) else [data]
    if any(isinstance(value, list | tuple) for value in values):
        return read_pt(path)
    if not isinstance(data, Mapping):
        return _pt_rows(path, None)
    return {str(name): partial(_pt_rows, path, str(name)) for name in data}


def _or_whole(in_parts: Callable[[], Rows], whole: Callable[[], Rows]) -> Rows:
    try:
        return in_parts()
    except Exception:  # damaged bytes raise nearly anything; reading all of them says why
        return whole()


def _npy_rows(path: Path) -> StoredRows:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    order = "C" if array.flags.c_contiguous else "F"
    return _rows(Mapped(path, str(path), array.dtype, array.shape, order, array.offset))


def _npz_rows(path: Path, name: str) -> StoredRows:
    """Map an array that isn't compressed, after one pass over it for its checksum."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(name if name in archive.namelist() else f"{name}.npy")
        with archive.open(info) as stream:
            version = np.lib.format.read_magic(stream)
            shape, by_column, dtype = _HEADERS[version](stream)
            begins = stream.tell()
            if info.compress_type != zipfile.ZIP_STORED:
                if by_column and len(shape) > 1:
                    raise ValueError("rows of compressed columns are spread over all of them")
                return _rows(Inflated(path, info.filename, dtype, shape, begins))
            while stream.read(2**20):
                pass
    with path.open("rb") as file:
        file.seek(info.header_offset)
        lengths = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    begins += info.header_offset + _LOCAL_HEADER.size + sum(lengths)
    order = "F" if by_column else "C"
    return _rows(Mapped(path, f"{path} [{name}]", dtype, shape, order, begins))


def _pt_rows(path: Path, name: str | None) -> Rows:
    read = Loaded(path, name)
    tensor = read.tensor()
    return StoredRows(read, tensor.shape) if tensor.ndim and tensor.numel() else tensor.clone()


def _rows(read: Mapped | Inflated) -> StoredRows:
    # whether torch can hold an unsigned number of 64 bits depends on all of them
    if not math.prod(read.shape) or read.dtype.kind not in "fiub" or read.dtype.str[1:] == "u8":
        raise ValueError("it holds other things than rows of real numbers that torch has")
    return StoredRows(read, read.shape)
