"""The user's own data, from a file."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ebmcore import DataError, PositiveInt
from ebmcore_datasets.formats.arrays import Contents, Rows
from ebmcore_datasets.formats.checks import as_labels, refuse_bad, steps_that_count
from ebmcore_datasets.formats.csv_table import read_csv
from ebmcore_datasets.formats.events import as_events
from ebmcore_datasets.formats.stored_rows import npy_in_parts, npz_in_parts, pt_in_parts


class File:
    """Rows of numbers from a .npy, .npz, .csv, .pt or .pth file; each row is one event.

    Called, it returns x (n, *event) in torch's default dtype, or (x, y) with integer labels y (n,)
    when `y_key` is given. Arrays of integers and of truth values keep their type, and a run says
    which they are by its key `data.space`; without it they are real numbers, with a warning, as
    they are: bytes are not scaled. Nothing is unpickled: .npy and .npz are read without pickles,
    .pt weights-only.

    An array `mask` (n, T) or `lengths` (n,) beside the events of a .npz or .pt says which of their
    steps count, and comes with them in a mapping, {"x": x, "mask": mask}. The numbers of the other
    steps may be anything, also NaN; they become 0.

    A run reads a .npy, .npz or .pt file in parts, and holds its rows in memory once.

    All rows are read, or none: raises DataError, which names the file and, where known, the row and
    line, when the file is missing, empty or of another format, or holds NaN, infinity, words, rows
    of different lengths, or no numbers at all; also when torch's default dtype can't hold a whole
    number exactly (float32 does up to 2²⁴), or rounds away how a column varies.

    Args:
        path: The file, relative to the working directory.
        x_key: Name of the events in a .npz, or in a dict of tensors in a .pt.
        y_key: Name of the labels beside them; no labels when not given.
        header: Whether the first line of a .csv is a header; when not given, it is one if no cell
            of it is a number.
        delimiter: The character between the cells of a .csv.
        shape: Shape of one event, to which each row is reshaped; the shape in the file when not
            given.
    """

    def __init__(
        self,
        path: Path,
        *,
        x_key: str = "x",
        y_key: str | None = None,
        header: bool | None = None,
        delimiter: str = ",",
        shape: Sequence[PositiveInt] | None = None,
    ) -> None:
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise ValueError(
                f"delimiter should be one character other than a quote; got {delimiter!r}"
            )
        self.path = path
        self.x_key = x_key
        self.y_key = y_key
        self.header = header
        self.delimiter = delimiter
        self.shape = shape
        self.columns: tuple[str, ...] | None = None
        self.ids: Any = None

    def like(self, path: Path) -> File:
        """Return the same reading of another file, of new points."""
        return File(
            path,
            x_key=self.x_key,
            y_key=self.y_key,
            header=self.header,
            delimiter=self.delimiter,
            shape=self.shape,
        )

    def __call__(self) -> Tensor | tuple[Tensor, Tensor] | dict[str, Tensor]:
        """Return x, or (x, y), or a mapping of these and a mask. Raises DataError."""
        found: Tensor | tuple[Tensor, Tensor] | dict[str, Tensor] = self._read(_whole)
        return found

    def read_in_parts(self, *, check: bool = True) -> Any:
        """Return what a call does, but x as rows that are read when asked for, where they can be.

        Those of a .csv, of compressed columns and of old .pt files are read at once. Without
        `check`, of rows that stay in the file only the rounding of floats is looked at. Raises
        DataError as a call does.
        """
        return self._read(lambda x: x, check=check)

    def _read(self, kept: Callable[[Rows], Rows], *, check: bool = True) -> Any:
        path = Path(self.path).expanduser()
        dtype = torch.get_default_dtype()
        try:
            _refuse_missing(path)
            contents, lines = self._reader(path, dtype)(path)
            masks = _masks(contents, {self.x_key, self.y_key})
            x = self._named(contents, self.x_key, "x_key", path)
            if masks and x.ndim and len(x):
                event = self._event(x, path)
                counted = steps_that_count(masks, (len(x), *(event or x.shape[1:])), path)
                x = as_events(x, event, masks=counted)
            check = check or isinstance(x, Tensor)
            if check or x.dtype.is_floating_point:
                refuse_bad(x, path, dtype, lines, every=check)
            x = kept(as_events(x, self._event(x, path), dtype=dtype))
            if self.y_key is None:
                return {"x": x, **masks} if masks else x
            labels = _whole(self._named(contents, self.y_key, "y_key", path))
        except OSError as error:
            raise DataError(f"{path} can't be read: {error.strerror or error}") from error
        y = as_labels(labels, len(x), f"{path} [{self.y_key}]")
        return {"x": x, "y": y, **masks} if masks else (x, y)

    def _reader(
        self, path: Path, dtype: torch.dtype
    ) -> Callable[[Path], tuple[Contents, Sequence[int] | None]]:
        readers: dict[str, Callable[[Path], tuple[Contents, Sequence[int] | None]]] = {
            ".csv": lambda path: read_csv(
                path, header=self.header, delimiter=self.delimiter, dtype=dtype
            ),
            ".npy": lambda path: (npy_in_parts(path), None),
            ".npz": lambda path: (npz_in_parts(path), None),
            ".pt": lambda path: (pt_in_parts(path), None),
            ".pth": lambda path: (pt_in_parts(path), None),
        }
        ending = path.suffix.lower()
        if ending not in readers:
            raise DataError(
                f"{path}: the ending {ending!r} is not known; supported: {', '.join(readers)}"
            )
        return readers[ending]

    def _named(self, contents: Contents, name: str, key: str, path: Path) -> Rows:
        if isinstance(contents, Rows):
            if key == "y_key":
                raise DataError(f"{path} holds one unnamed array, without labels: drop y_key")
            return contents
        if name not in contents:
            there = ", ".join(repr(n) for n in contents) or "nothing"
            raise DataError(f"{path} has no array {name!r} ({key}); it holds {there}")
        return contents[name]()

    def _event(self, x: Rows, path: Path) -> tuple[int, ...] | None:
        """Return the shape that events should get; None when they keep that in the file."""
        if self.shape is None:
            return None
        shape = tuple(self.shape)
        wanted, there = math.prod(shape), math.prod(x.shape[1:])
        if wanted != there:
            raise DataError(
                f"{path}: rows have shape {tuple(x.shape[1:])}, {there} numbers; "
                f"shape {list(shape)} would need {wanted}"
            )
        return shape


def _masks(contents: Contents, named: set[str | None]) -> dict[str, Tensor]:
    """Read the array beside the events that says which of their numbers count."""
    if isinstance(contents, Rows):
        return {}
    there = [k for k in ("mask", "lengths") if k in contents and k not in named]
    return {k: _whole(contents[k]()) for k in there}


def _whole(rows: Rows) -> Tensor:
    return rows if isinstance(rows, Tensor) else rows[:]


def _refuse_missing(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder; path should name a file in it")
    if not path.exists():
        if not path.parent.is_dir():
            raise DataError(f"no such file: {path} (nor is there a folder {path.parent})")
        names = sorted(entry.name for entry in path.parent.iterdir())
        near = difflib.get_close_matches(path.name, names, 1)
        hint = f". Did you mean {path.parent / near[0]}?" if near else ""
        raise DataError(f"no such file: {path}{hint}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: 0 bytes")
