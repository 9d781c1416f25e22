"""Reads rows of a dataset by their numbers: events, labels and masks, checked as they are read."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate, get_worker_info

from ebmcore.data.mask import Mask, as_mask, read_mapping, without_padding
from ebmcore.data.parts import RowsInParts
from ebmcore.data.values.precision import name_of
from ebmcore.data.values.unfit import refuse_unfit_rows
from ebmcore.errors import DataError, raised_at
from ebmcore.spaces import Space


class ReadRows(NamedTuple):
    """Rows as a dataset gives them, in its own types."""

    x: Tensor  # (k, *event)
    y: Tensor | None = None  # (k, …)
    mask: Tensor | None = None  # (k, T), bool

    def each(self, change: Callable[[Tensor], Tensor]) -> ReadRows:
        """Return the rows with x, y and the mask changed alike."""
        others = (None if part is None else change(part) for part in (self.y, self.mask))
        return ReadRows(change(self.x), *others)

    @property
    def form(self) -> tuple[str, ...]:
        """The type and the shape of one row, in words."""
        named = zip(("", "labels ", "a mask "), self, strict=True)
        return tuple(
            f"{name}{name_of(part.dtype)} of shape {tuple(part.shape[1:])}"
            for name, part in named
            if part is not None
        )


@dataclass(frozen=True)
class Stored:
    """Events that stay where they are stored, with their labels and masks, which are in memory."""

    x: RowsInParts  # (n, *event)
    y: Tensor | None = None  # (n, …)
    mask: Tensor | None = None  # (n, T), bool

    def __len__(self) -> int:
        """Return n."""
        return len(self.x)

    def at(self, numbers: Tensor) -> ReadRows:
        """Read rows by their numbers, (k,), int64."""
        x = self.x.at(numbers)
        y, mask = (None if part is None else part[numbers] for part in (self.y, self.mask))
        return ReadRows(x if x.ndim > 1 else x[:, None], y, mask)


class RowReader:
    """Reads rows; each has the type and the shape of the first, and fits the space and the dtype.

    The items of a torch Dataset may draw from the global generators of torch, NumPy and Python.
    These are seeded before each item from the run's seed, the visit and the row, so that an item
    has the same draws in whichever process it is read; in the run's own process they are put back.

    Args:
        source: Stored rows, or a map-style torch Dataset.
        seed: The run's.
        space: The space of the events.
        dtype: The float type of the run.

    Raises DataError when the first row can't be read or is no event.
    """

    def __init__(
        self, source: Stored | Dataset[Any], *, seed: int, space: Space, dtype: torch.dtype
    ) -> None:
        self.source = source
        self.seed = seed
        self.space = space
        self.dtype = dtype
        self.form: tuple[str, ...] = ()  # of every row
        self.first = self(torch.tensor([0]), "first")
        if self.first.x.is_complex():
            raise DataError(
                "the dataset holds complex numbers; give the two parts of each as columns"
            )
        self.form = self.first.form

    def __call__(self, numbers: Tensor, visit: str) -> ReadRows:
        """Read the rows of these numbers, (k,); `visit` says what for, such as `step 3`.

        Raises DataError that names the row.
        """
        source = self.source
        if isinstance(source, Stored):
            rows = self._stored(source, numbers.long())
        else:
            with _globals_put_back():
                items = [self._item(source, row, visit) for row in numbers.tolist()]
            rows = self._collated(items, numbers)
        if not rows.x.is_complex():
            checked = without_padding(rows.x, rows.mask)
            refuse_unfit_rows(checked, numbers, self.space, self.dtype)
        return rows

    def events(self, rows: ReadRows) -> Tensor:
        """Return rows as events of the run, (k, *event), with 0 at the steps that don't count."""
        x = rows.x.to(self.space.dtype_in(self.dtype))
        return without_padding(x, rows.mask)

    def _stored(self, stored: Stored, numbers: Tensor) -> ReadRows:
        try:
            rows = stored.at(numbers)
        except DataError:
            raise
        except (Exception, SystemExit) as error:
            what = f"{type(error).__name__}: {error} ({raised_at(error)})"
            raise DataError(f"the dataset's rows can't be read: {what}") from error
        wanted = (len(numbers), *(stored.x.shape[1:] or (1,)))
        if rows.x.shape != wanted:
            raise DataError(
                f"{type(stored.x).__name__}.at should read {len(numbers)} rows as {wanted}; got "
                f"{tuple(rows.x.shape)}"
            )
        return rows

    def _item(self, source: Dataset[Any], row: int, visit: str) -> Any:
        digest = hashlib.sha256(f"{self.seed}/read/{visit}/{row}".encode()).digest()
        _seed_globals(int.from_bytes(digest[:8], "big") >> 1)
        try:
            return source[row]
        except (Exception, SystemExit) as error:
            what = f"{type(error).__name__}: {error} ({raised_at(error)})"
            raise DataError(f"the dataset can't give row {row} (counted from 0): {what}") from error

    def _collated(self, items: list[Any], numbers: Tensor) -> ReadRows:
        try:
            rows = _rows(default_collate(items))
            if rows.form == self.form:
                return rows
        except Exception:  # one of them isn't as the others are, whatever it is
            pass
        alone = [self._alone(item, row) for item, row in zip(items, numbers.tolist(), strict=True)]
        if self.form:
            self._refuse_other_form(alone, numbers)
        return _rows(default_collate(items))

    def _alone(self, item: Any, row: int) -> ReadRows:
        try:
            return _rows(default_collate([item]))
        except DataError as error:
            raise DataError(f"row {row} of the data (counted from 0): {error}") from error
        except Exception as error:
            raise DataError(
                f"row {row} of the data (counted from 0) can't become a tensor; an item should be "
                f"x, (x, y) or a mapping of tensors, arrays and numbers, and is {_kind(item)}"
            ) from error

    def _refuse_other_form(self, alone: list[ReadRows], numbers: Tensor) -> None:
        for rows, row in zip(alone, numbers.tolist(), strict=True):
            if rows.form != self.form:
                is_, should = (" with ".join(form) for form in (rows.form, self.form))
                raise DataError(
                    f"row {row} of the data (counted from 0) is {is_}, and row 0 is {should}; all "
                    "rows need one type and shape"
                )


def stored_rows(x: RowsInParts, y: Any, said: Mask | None) -> Stored:
    """Return stored events with labels and a mask in memory. Raises DataError."""
    labels = None if y is None else torch.as_tensor(y)
    if labels is not None and labels.shape[:1] != x.shape[:1]:
        raise DataError(f"x has shape {tuple(x.shape)}, its labels {tuple(labels.shape)}")
    mask = None if said is None else as_mask(*said, torch.empty(x.shape, device="meta"))
    return Stored(x, labels, mask)


def _rows(found: Any) -> ReadRows:
    """Return collated items as rows. Raises DataError, TypeError when they are none."""
    found, said = read_mapping(tuple(found) if isinstance(found, list) else found)
    parts = found if isinstance(found, tuple) else (found,)
    if len(parts) not in (1, 2) or not all(isinstance(part, Tensor) for part in parts):
        raise TypeError(f"{_kind(found)} is no event")
    x, y = (parts[0].detach(), parts[1].detach() if len(parts) == 2 else None)
    x = x if x.ndim > 1 else x[:, None]
    return ReadRows(x, y, None if said is None else as_mask(*said, x))


def _kind(item: Any) -> str:
    if isinstance(item, tuple | list):
        return f"({', '.join(_kind(part) for part in item[:5])})"
    return type(item).__name__


def _seed_globals(seed: int) -> None:
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextmanager
def _globals_put_back() -> Iterator[None]:
    """Give the process its global generators back; a worker has no other use for its own."""
    if get_worker_info() is not None:
        yield
        return
    torch_state, state = torch.get_rng_state(), random.getstate()
    numpy_state = np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        random.setstate(state)
        np.random.set_state(numpy_state)
