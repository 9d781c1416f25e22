"""Facts about the columns of a table, as the dataset `file` would see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch

from ebmcore_datasets.tables.cells import read_cells, texts
from ebmcore_datasets.tables.numbers import Numbers
from ebmcore_datasets.tables.opened import opened
from ebmcore_datasets.tables.undecided import is_label, is_unnamed

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

_ROWS = 100_000  # of which the quartiles are found
_TEXTS = 10_000  # different texts that are counted


class ColumnFacts(NamedTuple):
    """A column.

    Attributes:
        number: Its place, from 0.
        name: Its name, empty where it has none.
        kind: numbers; text, where most cells are none; other for dates and nested values.
        rows: How many there are.
        missing: How many cells are missing.
        distinct: How many different values there are; None for many.
        values: The different values, sorted, where they are at most 20.
        counts: Whether each number is the one before it plus 1.
        whole: Whether all numbers are whole.
        label_name: Whether its name is one that people give to labels.
        unnamed: Whether it has no name beside columns that have one, as an index of rows has.
        mean, sd: Of the numbers; NaN without any.
        middle: Half the distance of the quartiles over that of a normal law of sd 1: the sd that
            the middle half suggests.
    """

    number: int
    name: str
    kind: Literal["numbers", "text", "other"]
    rows: int
    missing: int
    distinct: int | None
    values: tuple[float | str, ...] = ()
    counts: bool = False
    whole: bool = False
    label_name: bool = False
    unnamed: bool = False
    mean: float = np.nan
    sd: float = np.nan
    middle: float = np.nan


def survey_table(path: Path, ending: str) -> tuple[ColumnFacts, ...]:
    """Return facts about each column of a .csv, .tsv or .parquet file, packed by gzip or not.

    Reads the file once, in blocks. Raises DataError when it is no such table.
    """
    with opened(path, ending, delimiter=None, header=None) as table:
        columns = [_Column(number) for number in range(table.width)]
        for block in table.blocks(range(table.width)):
            for column, cells in zip(columns, block, strict=True):
                column.add(cells)
        names = table.names or ("",) * table.width
        named = table.names is not None
        return tuple(column.facts(names[column.number], named) for column in columns)


class _Column:
    def __init__(self, number: int) -> None:
        self.number = number
        self.numbers = Numbers(torch.float64)
        self.bad = 0
        self.kind = ""
        self.texts: set[str] = set()
        self.sample: list[np.ndarray[Any, Any]] = []
        self.sampled = 0

    def add(self, array: pa.Array) -> None:
        cells = read_cells(array)
        self.numbers.add(cells)
        self.bad += len(cells.bad)
        self.kind = self.kind or cells.kind
        if self.bad and not self.kind and len(self.texts) <= _TEXTS:
            self.texts |= {text for text in texts(array).to_pylist() if text is not None}
        if self.sampled < _ROWS:
            self.sample.append(cells.values[: _ROWS - self.sampled])
            self.sampled += len(self.sample[-1])

    def facts(self, name: str, named: bool) -> ColumnFacts:
        found = self.numbers
        missing = found.missing - self.bad  # cells that are no numbers are NaN, too
        common: dict[str, Any] = {
            "number": self.number,
            "name": name,
            "rows": found.n,
            "missing": missing,
            "label_name": is_label(name),
            "unnamed": named and is_unnamed(name),
        }
        if self.kind:
            return ColumnFacts(kind="other", distinct=None, **common)
        if 2 * self.bad > found.n - missing:
            few = tuple(sorted(self.texts)) if len(self.texts) <= 20 else ()
            many = len(self.texts) > _TEXTS
            distinct = None if many else len(self.texts)
            return ColumnFacts(kind="text", distinct=distinct, values=few, **common)
        return ColumnFacts(
            kind="numbers",
            distinct=None if found.values is None else len(found.values),
            values=() if found.values is None else tuple(sorted(found.values)),
            counts=found.counts and found.n > 1,
            whole=found.whole,
            **common,
            **self._spread(),
        )

    def _spread(self) -> dict[str, Any]:
        values = np.concatenate(self.sample) if self.sample else np.empty(0)
        values = values[np.isfinite(values)]
        if not len(values):
            return {}
        low, high = np.quantile(values, (0.25, 0.75))
        return {
            "mean": float(values.mean()),
            "sd": float(values.std()),
            "middle": float(high - low) / 1.349,
        }
