"""Rows a few megabytes at a time, so that a run holds its data in memory once and no more."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ebmcore.data.mask import without_padding

AT_ONCE = 2**20  # numbers


class RowsInParts(ABC):
    """Rows that stay where they are stored, and are read as they are asked for.

    Attributes:
        shape: (n, *event).
        dtype: The type that the rows have when they are read.
    """

    shape: torch.Size
    dtype: torch.dtype

    @abstractmethod
    def __getitem__(self, rows: slice) -> Tensor:
        """Read some of the rows, (n', *event)."""

    def at(self, numbers: Tensor) -> Tensor:
        """Read rows by their numbers, (k,) -> (k, *event), in any order; by default one by one."""
        return torch.cat([self[:0], *(self[i : i + 1] for i in numbers.tolist())])

    def __len__(self) -> int:
        """Return n."""
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """The number of dimensions, n's included."""
        return len(self.shape)


class Padded(RowsInParts):
    """Rows of at least one number each, with 0 at the steps that a mask doesn't count."""

    def __init__(self, x: Tensor | RowsInParts, mask: Tensor | None) -> None:
        self.x = x
        self.mask = mask
        self.shape = x.shape if x.ndim > 1 else torch.Size((len(x), 1))
        self.dtype = self[:0].dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Read some of the rows; numbers become events of one value."""
        x = self.x[rows]
        x = x if x.ndim > 1 else x[:, None]
        return without_padding(x, None if self.mask is None else self.mask[rows])


class FirstRows(RowsInParts):
    """The first n of other rows."""

    def __init__(self, x: RowsInParts, n: int) -> None:
        self.x = x
        self.shape = torch.Size((n, *x.shape[1:]))
        self.dtype = x.dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Read some of the rows."""
        return self.x[slice(*rows.indices(len(self)))]


def row_slices(x: Tensor | RowsInParts) -> Iterator[slice]:
    """Divide rows, (n, *event), into parts of about a million numbers, at least a row each."""
    step = max(1, AT_ONCE // max(1, math.prod(x.shape[1:])))
    for start in range(0, len(x), step):
        yield slice(start, min(start + step, len(x)))


def filled(
    x: RowsInParts,
    chosen: Tensor,
    dtype: torch.dtype,
    seen: Callable[[Tensor], None] = lambda part: None,
) -> tuple[Tensor, Tensor]:
    """Read the rows into two tensors of that dtype: those not chosen, and the chosen ones.

    `seen` is called with all rows in that dtype, part by part.

    Shapes: x (n, *event), chosen (n,) bool -> (n - m, *event), (m, *event).
    """
    m = int(chosen.sum())
    like = x[:1].to(dtype)
    others, picked = empty_rows(len(x) - m, like), empty_rows(m, like)
    done = 0  # of the chosen
    for rows in row_slices(x):
        part = x[rows].to(dtype)
        seen(part)
        if not m:
            others[rows] = part
            continue
        here = chosen[rows]
        more = int(here.sum())
        picked[done : done + more] = part[here]
        others[rows.start - done : rows.stop - done - more] = part[~here]
        done += more
    return others, picked


def empty_rows(n: int, like: Tensor) -> Tensor:
    """Return n rows in the layout that a selection of rows has, such as channels last."""
    event = like[torch.zeros(1, dtype=torch.int64)]
    size = event.numel()
    if not size:
        return like.new_empty((n, *like.shape[1:]))
    return like.new_empty_strided((n, *like.shape[1:]), (size, *event.stride()[1:]))


def steps_before_nan(x: Tensor | RowsInParts) -> Tensor | None:
    """Return which steps of events (n, T) or (n, T, C) come before their end in NaN, (n, T) bool.

    An event ends in NaN if its only NaN are its last steps, each of them whole, but not its first.
    None when no event does.
    """
    if x.ndim not in (2, 3) or not x.dtype.is_floating_point:
        return None
    counted = torch.ones(x.shape[:2], dtype=torch.bool)
    for rows in row_slices(x):
        missing = x[rows].isnan()
        steps = missing.flatten(2) if missing.ndim == 3 else missing[..., None]
        whole = steps.all(2)
        others = (steps.any(2) != whole) | (whole & ~whole.flip(1).cummin(1).values.flip(1))
        ends = ~(others.any(1) | whole[:, 0])
        counted[rows] = ~(whole & ends[:, None])
    return None if counted.all() else counted


def in_parts_reader(source: Any, *, check: bool = True) -> Any:
    """Return how to read a dataset: its `read_in_parts`, unless a subclass changed the call.

    Without `check`, a `read_in_parts` that names it is told that the run checks the rows.
    """
    for cls in type(source).__mro__:
        if "read_in_parts" in vars(cls):
            reader = source.read_in_parts
            if not check and "check" in inspect.signature(reader).parameters:
                return partial(reader, check=False)
            return reader
        if "__call__" in vars(cls):
            break
    return source
