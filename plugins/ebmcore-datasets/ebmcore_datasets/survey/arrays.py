"""Facts about the arrays of a file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ebmcore_datasets.formats.arrays import Rows
from ebmcore_datasets.formats.named import READERS
from ebmcore_datasets.tables.opened import unpacked


class ArrayFacts(NamedTuple):
    """An array of a file: its name, empty where a file holds one alone, and what it is."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # such as float32


def survey_arrays(path: Path, ending: str) -> tuple[ArrayFacts, ...]:
    """Return facts about the arrays of a .npy, .npz, .pt or .pth file, packed by gzip or not.

    Raises DataError when it is no such file, or one of its arrays holds no real numbers.
    """
    if path.suffix.lower() != ".gz":
        return _survey(path, ending)
    with tempfile.TemporaryDirectory(prefix="ebmcore-") as folder:
        plain = Path(folder) / path.stem
        with plain.open("w+b") as file:
            unpacked(path, file)
        return _survey(plain, ending)


def _survey(path: Path, ending: str) -> tuple[ArrayFacts, ...]:
    contents = READERS[ending](path)
    if isinstance(contents, Mapping):
        return tuple(_facts(name, load()) for name, load in contents.items())
    return (_facts("", contents),)


def _facts(name: str, rows: Rows) -> ArrayFacts:
    return ArrayFacts(name, tuple(rows.shape), str(rows.dtype).removeprefix("torch."))
