"""Messages about cells that can't be numbers of an event: where, what, and the way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ebmcore import DataError
from ebmcore_datasets.tables.cells import Cells
from ebmcore_datasets.tables.keys import as_key, listed
from ebmcore_datasets.tables.numbers import Numbers
from ebmcore_datasets.tables.undecided import is_label

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa  # type: ignore[import-untyped]

_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?|\d{1,2}:\d{2}(:\d{2}.*)?")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([, '’]\d{3})+(\.\d*)?")
_OTHERS = {";": '";"', "\t": '"\\t"', "|": '"|"', ",": '","', " ": '" "'}


class Table(Protocol):
    """A table that is read in blocks."""

    path: Path
    names: tuple[str, ...] | None
    width: int

    def blocks(self, wanted: Sequence[int]) -> Iterator[list[pa.Array]]:
        """Read columns, a block of rows at a time."""

    def place(self, row: int, column: int) -> str:
        """Say where a cell is."""

    def cell(self, row: int, column: int) -> str:
        """Return a cell as it is written."""


class Unfit(NamedTuple):
    """A column of a block in which some cells are no numbers."""

    column: int
    cells: Cells
    array: pa.Array


def refuse_cells(table: Table, unfit: Sequence[Unfit], start: int) -> None:
    """Raise DataError for the first cell, in the file's order, that is no number."""
    first = min(unfit, key=lambda one: (one.cells.bad[0], one.column))
    row = first.cells.bad[0]
    cell = str(first.array[row].as_py()).strip()
    place = table.place(start + row, first.column)
    hint = _hint(table, first, cell)
    others = [one.column for one in unfit if one.column != first.column and _mostly(one)]
    if others:
        names = listed([as_key(column, table.names) for column in others])
        hint += f". The same holds for {'column' if len(others) == 1 else 'columns'} {names}"
    raise DataError(f"{table.path}: {place} should be a number; got {cell[:60]!r}{hint}")


def refuse_missing(table: Table, numbers: Mapping[int, Numbers]) -> None:
    """Raise DataError when cells are missing: the first, how many, in which columns."""
    gaps = {column: facts for column, facts in numbers.items() if facts.missing}
    if not gaps:
        return
    column, facts = min(gaps.items(), key=lambda one: (one[1].first_missing, one[0]))
    total = sum(facts.n for facts in numbers.values())
    missing = sum(facts.missing for facts in gaps.values())
    each = ", ".join(
        f"{as_key(column, table.names)} ({facts.missing})" for column, facts in gaps.items()
    )
    place = table.place(facts.first_missing, column)
    cell = table.cell(facts.first_missing, column)
    found = f"is {cell}" if cell else "should be a number; got an empty cell"
    raise DataError(
        f"{table.path}: {place} {found}; of {total} numbers {missing} are missing, in "
        f"{'column' if len(gaps) == 1 else 'columns'} {each}. Remove the rows or columns, or set "
        "impute: mean, median or a number"
    )


def _mostly(one: Unfit) -> bool:
    return bool(2 * len(one.cells.bad) > len(one.array) - one.array.null_count)


def _hint(table: Table, one: Unfit, cell: str) -> str:
    key = as_key(one.column, table.names)
    drop = f"leave the column out (drop: [{key}])"
    if one.cells.kind:
        kept = (
            ", or write numbers, such as days since the first" if "date" in one.cells.kind else ""
        )
        return f". The column holds {one.cells.kind}: {drop}{kept}"
    if _DATE.fullmatch(cell):
        return f". Dates and times aren't read: {drop}, or write numbers, such as days"
    if _THOUSANDS.fullmatch(cell):
        return ". Separators of thousands aren't read: write 1234"
    if _COMMA.fullmatch(cell):
        return ". Decimal commas aren't read: write 1.5 for 1,5"
    if table.width == 1:
        found = next((mark for mark in _OTHERS if mark in cell), None)
        if found:
            return f". If cells end with {found!r}, set delimiter: {_OTHERS[found]}"
    if not _mostly(one):
        return ""
    label = f", take it as labels (label: {key})" if is_label(key) else ""
    return (
        f". The column holds text: {drop}{label}, as names of the rows (id: {key}), or as "
        f"categories (categories: [{key}], which one_hot or a mixed data.space then take)"
    )
