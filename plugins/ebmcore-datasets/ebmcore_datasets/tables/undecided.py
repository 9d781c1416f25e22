"""Columns that are probably no part of events: nobody said so, and they would be trained on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ebmcore import DataError
from ebmcore_datasets.tables.keys import as_key
from ebmcore_datasets.tables.numbers import Numbers

_LABELS = re.compile(
    r"(targets?|labels?|class(es)?|y|outcomes?|anomal(y|ies)|outliers?|ground_?truth|is_\w+|"
    r"faulty?|fraud(ulent)?|defect(ive)?|abnormal|diagnos(is|es))",
    re.IGNORECASE,
)
_UNNAMED = re.compile(r"|Unnamed: \d+|__index_level_\d+__")  # the last two are pandas' own
_ROWS = 3  # fewer may count by chance


def is_label(name: str) -> bool:
    """Tell whether a name is one that people give to labels."""
    return _LABELS.fullmatch(name) is not None


def is_unnamed(name: str) -> bool:
    """Tell whether a name is none, or one that pandas makes for a column without one."""
    return _UNNAMED.fullmatch(name) is not None


def refuse_unnamed(names: Sequence[str] | None, x: Sequence[int], path: Path) -> None:
    """Raise DataError when a column of a table with names has none, as an index of rows has."""
    for column in x if names else ():
        if names and is_unnamed(names[column]):
            name = f"is called {names[column]!r}" if names[column] else "has no name"
            raise DataError(
                f"{path}: column {column} (counted from 0) {name}: is it an index of the rows? "
                f"Leave it out with {_index(column, names)}, or keep it with columns: "
                f"{_list(x, names)}"
            )


def refuse_undecided(
    numbers: Mapping[int, Numbers], names: Sequence[str] | None, path: Path
) -> None:
    """Raise DataError when a column counts the rows, or holds few values and a label's name."""
    x = list(numbers)
    for column, facts in numbers.items():
        called = f"column {names[column]!r}" if names else f"column {column} (counted from 0)"
        keep = f"or keep it with columns: {_list(x, names)}"
        if facts.counts and facts.n >= _ROWS and len(x) > 1:
            raise DataError(
                f"{path}: {called} counts the rows, each number 1 more than the one before: is it "
                f"an index? Leave it out with {_index(column, names)}, {keep}"
            )
        if names and is_label(names[column]) and facts.values is not None:
            few = sorted(facts.values)
            if len(few) <= 2 or all(value.is_integer() for value in few):
                values = ", ".join(f"{value:g}" for value in few[:5])
                values += ", …" if len(few) > 5 else ""
                key = as_key(column, names)
                raise DataError(
                    f"{path}: {called} holds {len(few)} different values ({values}): are they "
                    f"labels? Read them as such with label: {key}, leave them out with drop: "
                    f"[{key}], {keep}"
                )


def _index(column: int, names: Sequence[str] | None) -> str:
    return f"index: {as_key(column, names)}"


def _list(columns: Sequence[int], names: Sequence[str] | None) -> str:
    shown = [as_key(column, names) for column in columns]
    return f"[{', '.join(shown if len(shown) <= 6 else [*shown[:3], '…', shown[-1]])}]"
