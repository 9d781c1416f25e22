"""Arrays of a file by their roles: events, labels, masks, and columns of a table without names."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ebmcore import DataError, row_slices
from ebmcore_datasets.formats.arrays import Contents, Rows
from ebmcore_datasets.formats.checks import as_labels, refuse_bad, steps_that_count
from ebmcore_datasets.formats.events import as_events
from ebmcore_datasets.formats.stored_rows import npy_in_parts, npz_in_parts, pt_in_parts
from ebmcore_datasets.found import Asked, Found
from ebmcore_datasets.tables.fill import Decode, Decoded, fills
from ebmcore_datasets.tables.keys import Keys, Roles, roles_of
from ebmcore_datasets.tables.layout import Layout, roles_like
from ebmcore_datasets.tables.opened import unpacked
from ebmcore_datasets.tables.read import Learned
from ebmcore_datasets.tables.spool import MemoryRows

READERS: dict[str, Callable[[Path], Contents]] = {
    ".npy": npy_in_parts,
    ".npz": npz_in_parts,
    ".pt": pt_in_parts,
    ".pth": pt_in_parts,
}


def read_arrays(
    path: Path, ending: str, asked: Asked, dtype: torch.dtype, *, check: bool = True
) -> Found:
    """Read arrays by the keys of a config; events are rows that stay in the file where they can.

    Raises DataError, OSError.
    """
    if path.suffix.lower() != ".gz":
        return _read(path, READERS[ending], asked, dtype, check)
    with tempfile.TemporaryDirectory(prefix="ebmcore-") as folder:
        plain = Path(folder) / path.stem
        with plain.open("w+b") as file:
            unpacked(path, file)
        try:
            found = _read(plain, READERS[ending], asked, dtype, check)
            return found._replace(x=whole(found.x))
        except DataError as error:
            raise DataError(str(error).replace(str(plain), str(path))) from error


def whole(rows: Rows) -> Tensor:
    """Read all rows."""
    return rows if isinstance(rows, Tensor) else rows[:]


def _read(
    path: Path,
    reader: Callable[[Path], Contents],
    asked: Asked,
    dtype: torch.dtype,
    check: bool,
) -> Found:
    contents = reader(path)
    keys = asked.keys
    own = asked.label if isinstance(asked.label, str) else None
    labels = own or asked.y_key or (keys.label if isinstance(keys.label, str) else None)
    ids = keys.id if isinstance(keys.id, str) else None
    masks = _masks(contents, {asked.x_key, labels, ids})
    x = _named(contents, asked.x_key, "x_key", path)
    found = Found(x, layout=_every_column(x, path))
    if _by_column(asked):
        found = _columns(x, path, asked)
        x = found.x
    if masks and x.ndim and len(x):
        event = event_of(asked.shape, x, path)
        counted = steps_that_count(masks, (len(x), *(event or x.shape[1:])), path)
        x = as_events(x, event, masks=counted)
    check = check or isinstance(x, Tensor)
    if check or x.dtype.is_floating_point:
        refuse_bad(x, path, dtype, None, every=check)
    x = as_events(x, event_of(asked.shape, x, path), dtype=dtype)
    found = found._replace(x=x, masks=masks)
    there = _names(contents) if asked.training is not None else None
    if labels is not None and (own or there is None or labels in there):  # new points may lack them
        key = "y_key" if asked.y_key and not own else "label"
        values = whole(_named(contents, labels, key, path))
        found = found._replace(y=as_labels(values, len(x), f"{path} [{labels}]"))
    if ids is not None and (there is None or ids in there):
        values = whole(_named(contents, ids, "id", path))
        found = found._replace(ids=as_labels(values, len(x), f"{path} [{ids}]").numpy())
    return found


def _names(contents: Contents) -> set[str]:
    return set() if isinstance(contents, Rows) else set(contents)


def _by_column(asked: Asked) -> bool:
    keys = asked.keys
    named = [keys.columns, keys.drop or None, keys.index, asked.impute]
    numbers = [key for key in (keys.label, keys.id, asked.label) if isinstance(key, int)]
    return any(key is not None for key in named) or bool(numbers)


def _every_column(x: Rows, path: Path) -> Layout | None:
    return Layout(path, None, x.shape[1], Roles(tuple(range(x.shape[1])))) if x.ndim == 2 else None


def _columns(x: Rows, path: Path, asked: Asked) -> Found:
    """Pick the columns that keys name by their numbers, and fill in missing numbers."""
    if x.ndim != 2:
        raise DataError(
            f"{path}: columns, drop, label, id, index and impute are for rows of columns, shape "
            f"(n, columns); here it is {tuple(x.shape)}"
        )
    keys, width = asked.keys, x.shape[1]
    label, id_ = (key if isinstance(key, int) else None for key in (keys.label, keys.id))
    own = Keys(keys.columns, keys.drop, label, id_, keys.index)
    if asked.training is None:
        roles, learned = roles_of(own, None, width, path), Learned()
    else:
        layout, learned = asked.training()
        label = asked.label if isinstance(asked.label, int) else None
        roles, _ = roles_like(layout, None, width, path, label)
    rows = MemoryRows(x) if isinstance(x, Tensor) else x
    picked = Decoded(rows, Decode(columns=roles.x))
    fill = learned.fill
    if fill is None and asked.impute is not None:
        fill = fills(picked, asked.impute)
    if fill is not None:
        picked = Decoded(rows, Decode(fill, columns=roles.x))
    y, ids = (
        None
        if column is None
        else as_labels(_column(x, column), len(x), f"{path}, column {column}")
        for column in (roles.label, roles.id)
    )
    return Found(
        picked[:] if isinstance(x, Tensor) else picked,
        y,
        ids=None if ids is None else ids.numpy(),
        layout=Layout(path, None, width, roles),
        learned=Learned(fill),
    )


def _column(rows: Rows, column: int) -> Tensor:
    if isinstance(rows, Tensor):
        return rows[:, column]
    return torch.cat([rows[part][:, column].clone() for part in row_slices(rows)])


def _named(contents: Contents, name: str, key: str, path: Path) -> Rows:
    if isinstance(contents, Rows):
        if key != "x_key":
            raise DataError(f"{path} holds one unnamed array, without labels: drop {key}")
        return contents
    if name not in contents:
        there = ", ".join(repr(n) for n in contents) or "nothing"
        raise DataError(f"{path} has no array {name!r} ({key}); it holds {there}")
    return contents[name]()


def event_of(shape: tuple[int, ...] | None, x: Rows, path: Path) -> tuple[int, ...] | None:
    """Return the shape that events should get; None when they keep that in the file."""
    if shape is None:
        return None
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
    return {k: whole(contents[k]()) for k in there}
