"""Which columns of a table are numbers of events, and which labels, names of rows or left out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ebmcore import DataError

Column = str | int  # a name, or a number from 0, negative from the end


@dataclass(frozen=True)
class Keys:
    """The keys of a config that say which columns are which."""

    columns: Sequence[Column] | None = None
    drop: Sequence[Column] = ()
    label: Column | None = None
    id: Column | None = None
    index: Column | None = None
    categories: Sequence[Column] = ()


class Roles(NamedTuple):
    """The numbers of columns, from 0."""

    x: tuple[int, ...]
    label: int | None = None
    id: int | None = None
    categories: tuple[int, ...] = ()  # those among x

    @property
    def wanted(self) -> tuple[int, ...]:
        """All that have to be read."""
        others = (column for column in (self.label, self.id) if column is not None)
        return tuple(dict.fromkeys((*self.x, *others)))


def roles_of(keys: Keys, names: Sequence[str] | None, width: int, path: Path) -> Roles:
    """Find the columns that the keys name. Raises DataError when one isn't there, or said twice."""
    found = {
        key: [find(column, key, names, width, path) for column in columns]
        for key, columns in _as_lists(keys).items()
    }
    said: dict[int, str] = {}
    for key in ("drop", "label", "id", "index", "columns"):
        for column in found[key]:
            if column in said:
                both = f"{said[column]} and {key}" if said[column] != key else f"{key}, twice"
                raise DataError(f"{path}: column {called(column, names)} is named by {both}")
            said[column] = key
    x = found["columns"] if keys.columns is not None else [c for c in range(width) if c not in said]
    if not x:
        raise DataError(f"{path}: no column is left for events: the keys take all {width}")
    if others := [column for column in found["categories"] if column not in x]:
        raise DataError(
            f"{path}: column {called(others[0], names)} is named by categories, and is none of the "
            "columns of events"
        )
    label, id_ = (found[key][0] if found[key] else None for key in ("label", "id"))
    return Roles(tuple(x), label, id_, tuple(found["categories"]))


def find(column: Column, key: str, names: Sequence[str] | None, width: int, path: Path) -> int:
    """Return a column's number, from 0. Raises DataError when it isn't there."""
    if isinstance(column, int):
        if not -width <= column < width:
            raise DataError(
                f"{path} has {width} columns, and {key} names number {column}, counted from 0"
            )
        return column % width
    if names is None:
        raise DataError(
            f"{path}: {key} names column {column!r}, but the columns have no names; give their "
            "numbers, counted from 0, or header: true"
        )
    if column in names:
        return names.index(column)
    near = difflib.get_close_matches(column, names, 1)
    lower = [name for name in names if name.lower() == column.lower()]
    hint = f" Did you mean {(lower or near)[0]!r}?" if lower or near else ""
    raise DataError(f"{path} has no column {column!r} ({key}); it has {listed(names)}.{hint}")


def called(column: int, names: Sequence[str] | None) -> str:
    """Return a column's name as a key takes it, or else its number from 0."""
    return repr(names[column]) if names and names[column] else str(column)


def as_key(column: int, names: Sequence[str] | None) -> str:
    """Return a column as a config writes it."""
    return names[column] if names and names[column] else str(column)


def listed(names: Sequence[str], most: int = 12) -> str:
    """List names, of many the first ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def refuse_equal_names(names: Sequence[str] | None, path: Path) -> None:
    """Raise DataError when two columns have one name."""
    for column, name in enumerate(names or ()):
        if name and names and (first := names.index(name)) != column:
            raise DataError(
                f"{path} has two columns with the name {name!r}, number {first} and {column} "
                "(counted from 0); rename one"
            )


def _as_lists(keys: Keys) -> dict[str, list[Column]]:
    lists: dict[str, list[Column]] = {
        "columns": list(keys.columns or ()),
        "drop": list(keys.drop),
        "categories": list(keys.categories),
    }
    for key in ("label", "id", "index"):
        one = getattr(keys, key)
        lists[key] = [] if one is None else [one]
    return lists
