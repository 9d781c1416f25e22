"""Read a table in one pass: events, labels and names of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebmcore import DataError, RowsInParts, refuse_lost_digits
from ebmcore_datasets.tables.cells import read_cells
from ebmcore_datasets.tables.coded import categories_of, labels_of
from ebmcore_datasets.tables.codes import Codes
from ebmcore_datasets.tables.fill import Decode, Decoded, Impute, fills
from ebmcore_datasets.tables.keys import Roles, called
from ebmcore_datasets.tables.numbers import Numbers
from ebmcore_datasets.tables.spool import Spool
from ebmcore_datasets.tables.undecided import refuse_undecided
from ebmcore_datasets.tables.unfit import Table, Unfit, refuse_cells, refuse_missing


class Learned(NamedTuple):
    """Facts of a training file that files of new points need.

    Attributes:
        fill: For each column of events, the number in place of missing ones.
        classes: The labels that are words, in the order of their numbers.
        categories: The same for each column of categories, by its place among those of events.
    """

    fill: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None
    categories: Mapping[int, tuple[str, ...]] | None = None


class TableRows(NamedTuple):
    """A table that was read."""

    x: RowsInParts  # (n, columns), int64 or float64
    y: Tensor | None  # (n,), int64
    ids: np.ndarray[Any, Any] | None  # (n,), text or int64
    learned: Learned


def read_table(
    table: Table,
    roles: Roles,
    dtype: torch.dtype,
    *,
    impute: Impute | None = None,
    decided: bool = False,
    learned: Learned | None = None,
) -> TableRows:
    """Read the columns that have a role. Raises DataError at the first that can't be read.

    Args:
        table: In blocks.
        roles: Which columns are which.
        dtype: The run's float type, which should hold the numbers.
        impute: How missing numbers are filled.
        decided: Whether somebody said which columns are events, so that none is refused for its
            name or its counting.
        learned: What another file says, for new points.
    """
    read = _Pass(table, roles, dtype)
    for block in table.blocks(roles.wanted):
        read.add(dict(zip(roles.wanted, block, strict=True)))
    if not read.n:
        raise DataError(f"{table.path} has no rows" + (" below its header" if table.names else ""))
    return read.finish(impute, decided, learned or Learned())


class _Pass:
    def __init__(self, table: Table, roles: Roles, dtype: torch.dtype) -> None:
        self.table = table
        self.roles = roles
        self.dtype = dtype
        self.n = 0
        self.spool = Spool(len(roles.x))
        self.numbers = {c: Numbers(dtype) for c in roles.x if c not in roles.categories}
        self.codes = {column: Codes() for column in roles.categories}
        self.labels = Codes()
        self.label_codes: list[np.ndarray[Any, Any]] = []
        self.ids: list[Any] = []

    def add(self, block: Mapping[int, Any]) -> None:
        cells = {column: read_cells(block[column]) for column in self.numbers}
        bad = [Unfit(c, found, block[c]) for c, found in cells.items() if found.bad]
        if bad:
            refuse_cells(self.table, bad, self.n)
        for column, facts in self.numbers.items():
            facts.add(cells[column])
        values = [
            cells[c].values if c in cells else self.codes[c].add(block[c]).astype(np.float64)
            for c in self.roles.x
        ]
        self.spool.add(np.stack(values, 1))
        if self.roles.label is not None:
            self.label_codes.append(self.labels.add(block[self.roles.label]))
        if self.roles.id is not None:
            self.ids.append(block[self.roles.id])
        self.n += len(values[0])

    def finish(self, impute: Impute | None, decided: bool, learned: Learned) -> TableRows:
        if not decided:
            refuse_undecided(self.numbers, self.table.names, self.table.path)
        if impute is None:
            refuse_missing(self.table, self.numbers)
        self._refuse_lost()
        places = {column: place for place, column in enumerate(self.roles.x)}
        given = learned.categories or {}
        values, orders = {}, {}
        for column, codes in self.codes.items():
            place = places[column]
            values[place] = categories_of(codes, self.table, column, given.get(place))
            orders[place] = codes.order(values[place])
        raw = self.spool.rows()
        fill = learned.fill
        if fill is None and impute is not None:
            fill = fills(raw, impute)
            self._refuse_empty(fill)
        whole = all(facts.whole for facts in self.numbers.values()) and not self._fractions(fill)
        x = Decoded(raw, Decode(fill, orders, dtype=torch.int64 if whole else torch.float64))
        if not whole:
            refuse_lost_digits(x, self.dtype, self._place)
        y, classes = None, learned.classes or None
        if self.roles.label is not None:
            numbered, classes = labels_of(
                self.labels, self.table, self.roles.label, learned.classes
            )
            y = torch.from_numpy(numbered[np.concatenate(self.label_codes)])
        return TableRows(x, y, self._named(), Learned(fill, classes, values))

    def _place(self, index: tuple[int, ...]) -> str:
        return f"{self.table.path}: {self.table.place(index[0], self.roles.x[index[1]])}"

    def _refuse_lost(self) -> None:
        """Refuse numbers that aren't finite in the dtype, and whole ones that it can't hold."""
        name = str(self.dtype).removeprefix("torch.")
        for column, facts in self.numbers.items():
            if facts.infinite is not None:
                row, value = facts.infinite
                place = f"{self.table.path}: {self.table.place(row, column)}"
                beyond = f", too large for {name}" if np.isfinite(value) else ""
                total = sum(facts.n for facts in self.numbers.values())
                count = sum(facts.n_infinite for facts in self.numbers.values())
                raise DataError(
                    f"{place} is {value:g}{beyond}; of {total} numbers {count} are not finite. "
                    "Remove or correct the rows"
                )
            if facts.whole and facts.lost is not None:
                row, number = facts.lost
                place = f"{self.table.path}: {self.table.place(row, column)}"
                if not -(2**63) <= number < 2**63:
                    raise DataError(
                        f"{place} is {number}, a whole number of more than 64 bits; subtract an "
                        "offset or divide the column first"
                    )
                refuse_lost_digits(torch.tensor([int(number)]), self.dtype, lambda _: place)  # noqa: B023

    def _refuse_empty(self, fill: Sequence[float]) -> None:
        for column, value in zip(self.roles.x, fill, strict=True):
            if np.isnan(value) and column in self.numbers and self.numbers[column].missing:
                name = called(column, self.table.names)
                raise DataError(
                    f"{self.table.path}: column {name} has no number at all, so there is nothing "
                    "to impute from: leave it out with drop, or impute a number"
                )

    def _fractions(self, fill: Sequence[float] | None) -> bool:
        """Tell whether a missing number of a whole column is filled with a fraction."""
        return fill is not None and any(
            column in self.numbers and self.numbers[column].missing and not value.is_integer()
            for column, value in zip(self.roles.x, fill, strict=True)
        )

    def _named(self) -> np.ndarray[Any, Any] | None:
        if not self.ids:
            return None
        import pyarrow as pa  # type: ignore[import-untyped]

        column = pa.chunked_array(self.ids)
        if pa.types.is_integer(column.type) and not column.null_count:
            found: np.ndarray[Any, Any] = column.to_numpy()
            return found
        return np.array([_text(value) for value in column.to_pylist()], dtype=object)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
