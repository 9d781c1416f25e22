"""The columns of a training file, and where a file of new points has them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ebmcore import DataError
from ebmcore_datasets.tables.keys import Column, Roles, called, find, listed


class Layout(NamedTuple):
    """A training file's columns, and which are which."""

    path: Path
    names: tuple[str, ...] | None
    width: int
    roles: Roles


def roles_like(
    train: Layout,
    names: Sequence[str] | None,
    width: int,
    path: Path,
    label: Column | None = None,
) -> tuple[Roles, tuple[str, ...]]:
    """Find a training file's columns in another file; also name those that it has besides.

    Columns are found by name where both files have names, and otherwise by their order: the file
    then has as many as the training file, or those of events alone. `label` is the file's own
    column of labels, beside those. Raises DataError when one of the events' columns isn't there.
    """
    own = None if label is None else find(label, "label", names, width, path)
    ignored: tuple[str, ...] = ()
    if train.names is None or names is None:
        roles = _by_order(train, width, path, own)
    else:
        roles, ignored = _by_name(train, names, path)
    if own in roles.x:
        raise DataError(f"{path}: label names column {called(own, names)}, which is part of events")
    if own is not None:
        roles = roles._replace(label=own)
        ignored = tuple(name for name in ignored if not names or name != names[own])
    return roles, ignored


def _by_name(train: Layout, names: Sequence[str], path: Path) -> tuple[Roles, tuple[str, ...]]:
    there = {name: column for column, name in enumerate(names)}
    assert train.names is not None
    wanted = [train.names[column] for column in train.roles.x]
    if absent := [name for name in wanted if name not in there]:
        near = difflib.get_close_matches(absent[0], there, 1)
        hint = f" Did you write {near[0]!r} for {absent[0]!r}?" if near else ""
        raise DataError(
            f"{path} has no column {listed(absent)}, which the training file {train.path} has; it "
            f"has {listed(names)}.{hint}"
        )
    label, id_ = (
        None if column is None else there.get(train.names[column])
        for column in (train.roles.label, train.roles.id)
    )
    x = tuple(there[name] for name in wanted)
    categories = tuple(there[train.names[column]] for column in train.roles.categories)
    return Roles(x, label, id_, categories), tuple(n for n in names if n not in train.names)


def _by_order(train: Layout, width: int, path: Path, label: int | None) -> Roles:
    x = train.roles.x
    if width == train.width:
        return train.roles
    others = tuple(column for column in range(width) if column != label)
    if len(others) != len(x):
        alone = "" if len(x) == train.width else f", or the {len(x)} of events alone"
        raise DataError(
            f"{path} has {width} columns, and the training file {train.path} has "
            f"{train.width}{alone}"
        )
    return Roles(others, categories=tuple(others[x.index(c)] for c in train.roles.categories))
