"""The user's own data, from a file."""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ebmcore import Categorical, DataError, Mixed, PositiveInt, Real, Space
from ebmcore_datasets.formats.arrays import Rows
from ebmcore_datasets.formats.events import as_events
from ebmcore_datasets.formats.named import READERS, event_of, read_arrays, whole
from ebmcore_datasets.found import Asked, Found
from ebmcore_datasets.tables.keys import Column, Keys, as_key, listed, roles_of
from ebmcore_datasets.tables.layout import Layout, roles_like
from ebmcore_datasets.tables.opened import ENDINGS, opened
from ebmcore_datasets.tables.read import Learned, read_table
from ebmcore_datasets.tables.undecided import refuse_unnamed


class File:
    """Rows of numbers from a table or an array in a file; each row is one event.

    Tables are .csv, .tsv and .parquet files, arrays .npy, .npz, .pt and .pth; each may be packed by
    gzip, as in .csv.gz. Called, it returns x (n, *event) in torch's default dtype, or (x, y) with
    integer labels y (n,) when `label` or `y_key` is given. Whole numbers keep their type, and a run
    says which they are by its key `data.space`; without it they are real numbers, with a warning,
    as they are: bytes are not scaled. Nothing is unpickled: .npy and .npz are read without pickles,
    .pt weights-only.

    A table's columns are all part of events but those that keys name otherwise. True and False
    become 1 and 0. Columns that are probably no part of events are refused until `columns`, `drop`,
    `label` or `index` decides: a column without a name, one that counts the rows, and one of few
    values that is called target, label, class, y, outcome, anomaly, fault, is_… or so. So are text,
    dates, and missing values (empty cells, NA, NaN, null, ?) without `impute`.

    An array `mask` (n, T) or `lengths` (n,) beside the events of a .npz or .pt says which of their
    steps count, and comes with them in a mapping, {"x": x, "mask": mask}. The numbers of the other
    steps may be anything, also NaN; they become 0.

    A run reads a file in parts, and holds its rows in memory once, or with a `data.loader` only
    those of a batch: a table of more than 64 MB is kept as numbers in a temporary file (TMPDIR).

    All rows are read, or none: raises DataError, which names the file and, where known, the line,
    column and value, when the file is missing, empty, damaged or of another format, or holds NaN,
    infinity, words, rows of different lengths, or no numbers at all; also when torch's default
    dtype can't hold a whole number exactly (float32 does up to 2²⁴), or rounds away how a column
    varies.

    After it was read, `columns` names the numbers of an event, if the file does; `ids` (n,) are the
    values of the column `id`; `classes` are the labels that are words, in the order of their
    numbers; `fill` holds the numbers that `impute` puts into each column; `warnings` says what else
    is worth knowing. `like(path)` reads another file of new points as this one.

    Args:
        path: The file, relative to the working directory.
        columns: The columns that make an event, in this order: names, or numbers from 0; by default
            all that no other key names.
        drop: Columns to leave out.
        label: The column, or in a .npz or .pt the array, with the labels: whole numbers, or words,
            which are numbered in the order of the alphabet.
        id: The column that names the rows; it is no part of events.
        index: A column that counts the rows; it is left out.
        categories: Columns of words that become whole numbers from 0, in the order of the alphabet.
        impute: How missing numbers are filled: with the mean or the median of the column's numbers
            in this file, held-out rows included, or with a number.
        x_key: Name of the events in a .npz, or in a dict of tensors in a .pt.
        y_key: Name of the labels beside them, as `label`.
        header: Whether the first line of a .csv or .tsv is a header; when not given, it is one if
            no cell of it is a number.
        delimiter: The character between the cells; by default a comma in a .csv, a tab in a .tsv.
        shape: Shape of one event, to which each row is reshaped; the shape in the file when not
            given.
    """

    def __init__(
        self,
        path: Path,
        *,
        columns: Sequence[Column] | None = None,
        drop: Sequence[Column] = (),
        label: Column | None = None,
        id: Column | None = None,  # noqa: A002 # as a config writes it
        index: Column | None = None,
        categories: Sequence[Column] = (),
        impute: Literal["mean", "median"] | float | None = None,
        x_key: str = "x",
        y_key: str | None = None,
        header: bool | None = None,
        delimiter: str | None = None,
        shape: Sequence[PositiveInt] | None = None,
    ) -> None:
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ValueError(
                f"delimiter should be one character other than a quote; got {delimiter!r}"
            )
        if label is not None and y_key is not None:
            raise ValueError("label and y_key both name the labels; leave out y_key")
        if isinstance(impute, float) and not math.isfinite(impute):
            raise ValueError(f"impute should be mean, median or a finite number; got {impute}")
        self.path = path
        self.keys = Keys(columns, drop, label, id, index, categories)
        self.impute = impute
        self.x_key = x_key
        self.y_key = y_key
        self.header = header
        self.delimiter = delimiter
        self.shape = shape
        self.columns: tuple[str, ...] | None = None
        self.ids: Any = None
        self.classes: tuple[str, ...] | None = None
        self.fill: tuple[float, ...] | None = None
        self.space: Space | None = None
        self.warnings: tuple[str, ...] = ()
        self._training: File | None = None
        self._label: Column | None = None  # of new points, beside what the training file has
        self._layout: Layout | None = None
        self._learned: Learned | None = None

    def __call__(self) -> Tensor | tuple[Tensor, Tensor] | dict[str, Tensor]:
        """Return x, or (x, y), or a mapping of these and a mask. Raises DataError."""
        found: Tensor | tuple[Tensor, Tensor] | dict[str, Tensor] = self._read(whole)
        return found

    def read_in_parts(self, *, check: bool = True) -> Any:
        """Return what a call does, but x as rows that are read when asked for, where they can be.

        Those of arrays packed by gzip, of compressed columns and of old .pt files are read at once.
        Without `check`, of arrays whose rows stay in the file only the rounding of floats is looked
        at. Raises DataError as a call does.
        """
        return self._read(lambda x: x, check=check)

    def like(self, path: Path, *, label: Column | None = None) -> File:
        """Return the same reading of another file, of new points.

        Its columns are found by their names, in whatever order, or without names by their order;
        columns that this file doesn't have are ignored, with a word in `warnings`. Labels, ids and
        columns that are left out may be absent. Missing numbers are filled with this file's `fill`,
        words are numbered as here. `label` names a column, or an array, of labels that only the
        other file has, or that has another name there.
        """
        other = copy.copy(self)
        other.path = path
        other.columns = other.ids = other._layout = other._learned = None
        other.warnings = ()
        other._training = self._training or self
        other._label = label
        return other

    def _read(self, kept: Callable[[Rows], Rows], *, check: bool = True) -> Any:
        path = Path(self.path).expanduser()
        dtype = torch.get_default_dtype()
        try:
            _refuse_missing(path)
            ending = _ending(path)
            if ending in ENDINGS:
                found = self._table(path, ending, dtype)
            else:
                found = read_arrays(path, ending, self._asked(), dtype, check=check)
            x = kept(found.x)
        except OSError as error:
            raise DataError(f"{path} can't be read: {error.strerror or error}") from error
        self._note(found, path)
        if found.masks:
            labels = {} if found.y is None else {"y": found.y}
            return {"x": x, **labels, **found.masks}
        return x if found.y is None else (x, found.y)

    def _asked(self) -> Asked:
        train = self._training
        shape = None if self.shape is None else tuple(self.shape)
        training = None if train is None else lambda: (train._columns(), train._learn())
        keys = self.keys, self.impute, self.x_key, self.y_key
        return Asked(*keys, shape, training, self._label)

    def _table(self, path: Path, ending: str, dtype: torch.dtype) -> Found:
        if self.y_key is not None:
            raise DataError(
                f"{path} is a table, and y_key names an array: name the labels' column with label"
            )
        train, learned = self._training, None
        ignored: tuple[str, ...] = ()
        shape = None if self.shape is None else tuple(self.shape)
        with opened(path, ending, delimiter=self.delimiter, header=self.header) as table:
            if train is None:
                roles = roles_of(self.keys, table.names, table.width, path)
                layout = Layout(path, table.names, table.width, roles)
                if self.keys.columns is None:
                    refuse_unnamed(table.names, roles.x, path)
            else:
                layout = train._columns()
                roles, ignored = roles_like(layout, table.names, table.width, path, self._label)
                if self.impute or roles.categories or roles.label is not None:
                    learned = train._learn()
                    learned = learned._replace(classes=learned.classes or ())
            rows = read_table(
                table,
                roles,
                dtype,
                impute=self.impute,
                decided=train is not None or self.keys.columns is not None,
                learned=learned,
            )
        x = as_events(rows.x, event_of(shape, rows.x, path), dtype=dtype)
        return Found(x, rows.y, {}, rows.ids, layout, rows.learned, ignored)

    def _note(self, found: Found, path: Path) -> None:
        """Say of the file that was read what is known now."""
        self._layout, self._learned, self.ids = found.layout, found.learned, found.ids
        self.classes, self.fill = found.learned.classes, found.learned.fill
        self.columns = self.space = None
        if found.layout is not None and self.shape is None:
            _, names, _, roles = found.layout
            self.columns = names and tuple(as_key(column, names) for column in roles.x)
            if categories := found.learned.categories:
                self.space = _mixed([categories.get(place) for place in range(len(roles.x))])
        notes = []
        if found.ignored:
            notes.append(
                f"{path}: ignored {listed(found.ignored)}, which the training file doesn't have"
            )
        if self.classes is not None and self._training is None:
            numbered = ", ".join(f"{k} {name!r}" for k, name in enumerate(self.classes[:12]))
            more = ", …" if len(self.classes) > 12 else ""
            notes.append(f"{path}: the labels are words, numbered {numbered}{more}")
        self.warnings = tuple(notes)

    def _columns(self) -> Layout:
        """Return the file's columns, of a table from its header alone."""
        if self._layout is None:
            path = Path(self.path).expanduser()
            _refuse_missing(path)
            ending = _ending(path)
            if ending not in ENDINGS:
                self._learn()
                if self._layout is None:
                    raise DataError(f"{path} has no columns that other files of rows could have")
                return self._layout
            with opened(path, ending, delimiter=self.delimiter, header=self.header) as table:
                roles = roles_of(self.keys, table.names, table.width, path)
                self._layout = Layout(path, table.names, table.width, roles)
        return self._layout

    def _learn(self) -> Learned:
        """Return what the file says of new points, and read it for that if need be."""
        if self._learned is None:
            self.read_in_parts(check=False)
        return self._learned or Learned()


def _mixed(categories: Sequence[tuple[str, ...] | None]) -> Mixed:
    """Return the space of columns, some of categories."""
    return Mixed(tuple(Real() if k is None else Categorical(len(k)) for k in categories))


def _ending(path: Path) -> str:
    """Return a file's ending without .gz. Raises DataError when it isn't known."""
    packed = path.suffix.lower() == ".gz"
    ending = Path(path.stem).suffix.lower() if packed else path.suffix.lower()
    known = (*ENDINGS, *READERS)
    if ending not in known:
        raise DataError(
            f"{path}: the ending {ending!r} is not known; supported: {', '.join(known)}, each also "
            "with .gz"
        )
    return ending


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
