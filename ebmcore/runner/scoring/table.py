"""Writes scores to a file as they come: whole at the end, or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from ebmcore.errors import EbmError
from ebmcore.output_file import output_file, writing
from ebmcore.runner.scoring.scorer import Scores


class ScoreTable:
    """A table of scores: the columns row, or id, and those that the scores have."""

    def __init__(self, path: str | Path, file: IO[Any]) -> None:
        self.path = path  # as it was asked for
        self.file = file
        self.rows = 0
        self.columns: list[str] = []

    def add(self, scores: Scores, ids: Sequence[Any] | None = None) -> None:
        """Add rows; ids are those of all rows of the table."""
        n = len(scores.energy)
        here = slice(self.rows, self.rows + n)
        names = {"row": np.arange(here.start, here.stop)} if ids is None else {"id": ids[here]}
        given = {k: v.numpy() for k, v in scores._asdict().items() if v is not None}
        columns: dict[str, Any] = {**names, **given}
        with writing(self.path):
            if not self.columns:
                self.columns = list(columns)
                self.begin()
            self.write(columns)
        self.rows += n

    def begin(self) -> None:
        """Write what stands before the first row."""

    def write(self, columns: dict[str, Any]) -> None:
        """Write some rows."""
        raise NotImplementedError

    def end(self) -> None:
        """Write what stands after the last row."""


class _Csv(ScoreTable):
    def begin(self) -> None:
        self.out = csv.writer(self.file, lineterminator="\n")
        self.out.writerow(self.columns)

    def write(self, columns: dict[str, Any]) -> None:
        self.out.writerows(zip(*map(_words, columns.values()), strict=True))


class _Npz(ScoreTable):
    def begin(self) -> None:
        self.parts: list[dict[str, Any]] = []

    def write(self, columns: dict[str, Any]) -> None:
        self.parts.append({name: np.asarray(values) for name, values in columns.items()})

    def end(self) -> None:
        arrays: dict[str, Any] = {
            name: np.concatenate([part[name] for part in self.parts]) for name in self.columns
        }
        np.savez(self.file, **arrays)


class _Parquet(ScoreTable):
    def begin(self) -> None:
        try:
            self.arrow, self.parquet = map(import_module, ("pyarrow", "pyarrow.parquet"))
        except ImportError as error:
            raise EbmError(f"{self.path}: a .parquet needs pyarrow; write a .csv") from error
        self.out: Any = None

    def write(self, columns: dict[str, Any]) -> None:
        rows = self.arrow.table({name: _plain(values) for name, values in columns.items()})
        if self.out is None:
            self.out = self.parquet.ParquetWriter(self.file, rows.schema)
        self.out.write_table(rows)

    def end(self) -> None:
        self.out.close()


_KINDS: dict[str, type[ScoreTable]] = {".csv": _Csv, ".npz": _Npz, ".parquet": _Parquet}


@contextmanager
def write_scores(
    path: str | Path, *, beside: str | Path = "", force: bool = False
) -> Iterator[ScoreTable]:
    """Open a table of scores, .csv, .npz or .parquet, which is there whole when the block ends.

    Raises EbmError when the file is `beside`, that of the points, and as `output_file` does.
    """
    if beside and os.path.realpath(path) == os.path.realpath(beside):
        raise EbmError(f"{path}: holds the points; write their scores to another file")
    with output_file(path, *_KINDS, force=force) as draft:
        kind = _KINDS[Path(os.path.realpath(path)).suffix.lower()]
        text: dict[str, Any] = {"encoding": "utf-8", "newline": ""} if kind is _Csv else {}
        with closing(draft.open("w" if text else "wb", **text)) as file:
            table = kind(path, file)
            yield table
            with writing(path):
                table.end()
                file.close()


def _words(values: Any) -> Any:
    """Return numbers as a text that keeps their bits; other values as they are."""
    if isinstance(values, np.ndarray) and values.dtype == np.float32:
        return [f"{value:.9g}" for value in values.tolist()]
    return _plain(values)


def _plain(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else list(values)
