"""Refuse points that the space of a run's data or its dtype can't hold, and say which and why."""

from __future__ import annotations

import torch
from torch import Tensor

from ebmcore.data.parts import Padded, RowsInParts, row_slices, steps_before_nan
from ebmcore.data.values.precision import name_of, refuse_lost_digits
from ebmcore.errors import DataError
from ebmcore.spaces import REAL, Real, Space, row_and_column


def in_the_data(index: tuple[int, ...]) -> str:
    """Name the place of a number."""
    return f"the data's {row_and_column(index)}"


def refuse_unfit(x: RowsInParts, space: Space, dtype: torch.dtype) -> None:
    """Refuse points that the space or the dtype can't hold; read them whole only to say why."""
    for rows in row_slices(x):
        if not _fits(x[rows], space, dtype):
            _say_unfit(x[:], space, dtype)
            break
    refuse_lost_digits(x, dtype, in_the_data)


def nan_as_padding(
    x: RowsInParts, space: Space, dtype: torch.dtype
) -> tuple[RowsInParts, Tensor | None, str]:
    """Refuse points that don't fit, as `refuse_unfit` does, but take NaN at their ends as padding.

    Returns the points with 0 there, which steps count, and a sentence that says so; without such
    NaN the points, None and an empty sentence.
    """
    try:
        refuse_unfit(x, space, dtype)
    except DataError:
        counted = steps_before_nan(x)
        if counted is None:
            raise
        padded = Padded(x, counted)
        refuse_unfit(padded, space, dtype)
        shorter, steps = int((~counted).any(1).sum()), int((~counted).sum())
        return (
            padded,
            counted,
            f"{shorter:,} of {len(counted):,} events end in steps of NaN, {steps:,} in all, which "
            "are taken as padding, as by a mask; if numbers are missing there, remove or fill them",
        )
    return x, None, ""


def refuse_unfit_rows(x: Tensor, numbers: Tensor, space: Space, dtype: torch.dtype) -> None:
    """Refuse some rows of the data, (n, *event), and name the first that doesn't fit.

    `numbers`, (n,), are those of the rows in the dataset. How a narrower float type rounds columns
    is for all rows to say, not for a few.
    """
    if x.numel() and not _fits(x, space, dtype):
        for row, event in zip(numbers.tolist(), x, strict=True):
            if not _fits(event[None], space, dtype):
                _say_unfit(event[None], space, dtype, row)
    if not x.is_floating_point():
        refuse_lost_digits(
            x, dtype, lambda index: in_the_data((int(numbers[index[0]]), *index[1:]))
        )


def _fits(given: Tensor, space: Space, dtype: torch.dtype) -> bool:
    """Tell whether the points are finite in the run's dtype and in the space."""
    if not given.numel():
        return False  # nothing to read in parts
    x = given.to(space.dtype_in(dtype))
    if given.is_floating_point() and x.is_floating_point():
        low, high = torch.aminmax(x)  # NaN if any number is
        if not torch.isfinite(low) or not torch.isfinite(high):
            return False
    if space == REAL:
        return True
    try:
        space.check(x if isinstance(space, Real) else given)
    except ValueError:
        return False
    return True


def _say_unfit(given: Tensor, space: Space, dtype: torch.dtype, first: int = 0) -> None:
    """Raise DataError for rows of which the first has this number in the data."""
    if not isinstance(space, Real):
        _refuse_outside(given, space, first)
    x = given.to(space.dtype_in(dtype))
    if given.is_floating_point():
        _refuse_non_finite(x, given, first)
    refuse_lost_digits(given, dtype, lambda at: in_the_data((first + at[0], *at[1:])))
    if isinstance(space, Real):
        _refuse_outside(x, space, first)


def _refuse_non_finite(x: Tensor, given: Tensor, first: int) -> None:
    bad = ~torch.isfinite(x.flatten(1)).all(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        if torch.isfinite(given[row]).all():
            raise DataError(
                f"row {first + row} of the data (counted from 0) holds numbers too large for "
                f"{name_of(x.dtype)}; divide them, or set dtype: float64"
            )
        others = f", as do {int(bad.sum())} of {len(x)} rows in all; remove or mend them"
        raise DataError(
            f"row {first + row} of the data (counted from 0) holds NaN or inf"
            + (others if len(x) > 1 else "; remove or mend it")
        )


def _refuse_outside(x: Tensor, space: Space, first: int) -> None:
    try:
        space.check(x)
    except ValueError as error:
        text = str(error)
        if len(x) == 1:
            text = text.replace("row 0", f"row {first}", 1)
        raise DataError(f"the data are declared {space}: {text}") from error
