"""Binary files of arrays: .npy, .npz and .pt, read without unpickling."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebmcore import DataError, RowsInParts, pad_events, separate_events

Rows = Tensor | RowsInParts
Contents = Rows | Mapping[str, Callable[[], Rows]]  # one array, or several by name

# torch computes with few unsigned types, and only in the machine's own order of bytes
_TORCH_TYPES = {"u2": "i4", "u4": "i8", "f12": "f8", "f16": "f8"}
_PICKLED = (
    "holds pickled objects, which could run code; save it as a plain array of numbers. Sequences "
    "of different length go into one array, filled up, with an array `lengths` beside it in a .npz"
)


def read_npy(path: Path) -> Tensor:
    """Read one array. Raises DataError when it is pickled, damaged or not an array of numbers."""
    with path.open("rb") as stream:
        magic = stream.read(6)
    if magic[:1] == b"\x80":
        raise DataError(f"{path} {_PICKLED}")
    if magic != b"\x93NUMPY":
        raise DataError(f"{path} is not a .npy file: its first bytes differ")
    return from_numpy(partial(np.load, path, allow_pickle=False), str(path))


def read_npz(path: Path) -> dict[str, Callable[[], Tensor]]:
    """Read an archive's names, and each array when it is called. Raises DataError."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a .npz file: {error}") from error

    def load(name: str) -> Any:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[name]

    keys = [name.removesuffix(".npy") for name in names]
    return {key: partial(from_numpy, partial(load, key), f"{path} [{key}]") for key in keys}


def read_pt(path: Path) -> Contents:
    """Read a tensor, or a dict of tensors. Raises DataError when it is anything else."""
    data = without_lists(load_pt(path), path)
    if isinstance(data, Mapping):
        return {
            str(name): partial(real_tensor, value, f"{path} [{name}]")
            for name, value in data.items()
        }
    return real_tensor(data, str(path))


def without_lists(data: Any, path: Path) -> Any:
    """Return what a file holds, but events of different length padded, with their `lengths` beside.

    They are a list of tensors or of lists of numbers, alone or in a dict. Other lists of numbers
    become tensors.
    """
    if not isinstance(data, Mapping):
        return data if separate_events(data) is None else without_lists({"x": data}, path)
    found: dict[str, Any] = {}
    for name, value in data.items():
        found[str(name)] = value
        if (events := separate_events(value)) is not None:
            try:
                found[str(name)], lengths = pad_events(events)
            except DataError as error:
                raise DataError(f"{path} [{name}]: {error}") from error
            if lengths is not None:
                found["lengths"] = lengths
        elif isinstance(value, list | tuple):
            with suppress(TypeError, ValueError):
                found[str(name)] = torch.tensor(value)
    return found


def load_pt(path: Path, *, mmap: bool = False) -> Any:
    """Load a file of torch.save, if asked mapped into memory. Raises DataError when it is none."""
    with path.open("rb") as stream:
        if stream.read(2) not in (b"PK", b"\x80\x02"):
            raise DataError(f"{path} is not a file of torch.save: its first bytes differ")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except pickle.UnpicklingError as error:
        raise DataError(f"{path} {_PICKLED.replace('plain array', 'plain tensor')}") from error
    except OSError:
        raise
    except Exception as error:  # damaged bytes make torch raise nearly anything
        raise DataError(f"{path} is not a file of tensors: {_first_line(error)}") from error


def from_numpy(load: Callable[[], Any], source: str) -> Tensor:
    """Return an array as torch can hold it. Raises DataError when it can't be loaded or held."""
    try:
        array = load()
    except MemoryError as error:
        raise DataError(f"{source} doesn't fit in memory, or is damaged: {error}") from error
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if "Object arrays" in str(error):
            raise DataError(f"{source} {_PICKLED}") from error
        raise DataError(f"{source} is damaged: {_first_line(error)}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        dtype = getattr(array, "dtype", "bytes")
        raise DataError(f"{source} should hold real numbers; its type is {dtype}")
    native = array.dtype.newbyteorder("=")
    array = array.astype(_TORCH_TYPES.get(native.str[1:], native), copy=False)
    if array.dtype == np.uint64 and (not array.size or array.max() < 2**63):
        array = array.view(np.int64)
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def real_tensor(value: object, source: str) -> Tensor:
    """Return a tensor without its gradient. Raises DataError when it holds no real numbers."""
    if not isinstance(value, Tensor):
        raise DataError(f"{source} should hold a tensor; it holds a {type(value).__name__}")
    if value.layout != torch.strided or value.is_quantized or value.is_complex():
        raise DataError(
            f"{source} should hold a dense tensor of real numbers; "
            f"it is {value.layout}, {value.dtype}"
        )
    return value.detach()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
