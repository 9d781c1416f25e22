"""Checks of a file's points, labels and masks, with errors that locate a bad number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ebmcore import (
    DataError,
    RowsInParts,
    as_mask,
    refuse_lost_digits,
    row_slices,
    steps_before_nan,
)
from ebmcore_datasets.formats.events import as_events


def refuse_bad(
    values: Tensor | RowsInParts,
    path: Path,
    dtype: torch.dtype,
    lines: Sequence[int] | None,
    *,
    every: bool = True,
) -> None:
    """Raise DataError when there are no rows, a number isn't finite, or the dtype loses digits.

    NaN at the ends of events may be padding, but not in a table: `lines` holds each row's line
    number, for a file that has lines. Without `every`, rows are not
    read all to find what only they can show.
    """
    if values.ndim == 0:
        raise DataError(f"{path} holds a single number; it should hold rows, shape (n, …)")
    if math.prod(values.shape) == 0:
        raise DataError(f"{path} has no numbers: shape {tuple(values.shape)}")
    for rows in row_slices(values) if every and values.dtype.is_floating_point else ():
        ends = torch.stack(torch.aminmax(values[rows].to(dtype)))  # NaN if any number is
        if not torch.isfinite(ends).all():
            counted = None if lines is not None else steps_before_nan(values)
            if counted is not None:  # the run takes NaN at the ends of events as padding
                rest = as_events(values, None, masks=(counted,))
                return refuse_bad(rest, path, dtype, None, every=every)
            _refuse_non_finite(values[:], path, dtype, lines)
    refuse_lost_digits(values, dtype, lambda index: f"{path}: {_location(index, lines)}")


def _refuse_non_finite(
    values: Tensor, path: Path, dtype: torch.dtype, lines: Sequence[int] | None
) -> None:
    bad = ~torch.isfinite(values.to(dtype))
    first = tuple(int(i) for i in bad.nonzero()[0])
    raise DataError(
        f"{path}: {_location(first, lines)} is {_value(values[first], dtype)}; "
        f"of {bad.numel()} numbers {int(bad.sum())} are not finite. Remove or correct the rows"
    )


def steps_that_count(
    masks: Mapping[str, Tensor], shape: Sequence[int], path: Path
) -> tuple[Tensor, ...]:
    """Return which steps of events count, each (n, T), by a mask and by lengths.

    Raises DataError when one doesn't fit the events' shape, (n, *event).
    """
    events = torch.empty(tuple(shape), device="meta")
    try:
        return tuple(as_mask(name, found, events) for name, found in masks.items())
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def as_labels(values: Tensor, n: int, source: str) -> Tensor:
    """Return n whole numbers, (n,) int64. Raises DataError when they are anything else."""
    if tuple(values.shape) != (n,):
        raise DataError(
            f"{source} should hold one label for each of {n} rows, shape ({n},); "
            f"got {tuple(values.shape)}"
        )
    if values.dtype == torch.uint64:
        raise DataError(f"{source}: labels should be whole numbers below 2^63; one is larger")
    labels = values.to(torch.int64)
    wrong = labels != values
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise DataError(f"{source}: labels should be whole numbers; row {row} is {values[row]:g}")
    return labels


def _location(index: tuple[int, ...], lines: Sequence[int] | None) -> str:
    row, *rest = index
    if lines is not None:
        return f"line {lines[row]}, column {rest[0] + 1} (counted from 1; row {row} from 0)"
    if not rest:
        return f"row {row} (counted from 0)"
    column = f"column {rest[0]}" if len(rest) == 1 else f"element {rest}"
    return f"row {row}, {column} (counted from 0)"


def _value(value: Tensor, dtype: torch.dtype) -> str:
    if torch.isfinite(value):
        return f"{value:g}, too large for {str(dtype).removeprefix('torch.')}"
    return f"{value:g}"
