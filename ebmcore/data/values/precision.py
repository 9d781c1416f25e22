"""Refuse data that a run's dtype can't hold, rather than change them silently.

The dtype must hold whole numbers exactly: a float of p bits holds them to 2^p (float32: 2^24,
float64: 2^53), and beyond that only multiples of 2, 4, 8, ... Other numbers are rounded as usual,
but a column is refused if its rounding exceeds a thousandth of its spread, by one of two measures,

    rms(rounding) > 1e-3 std(column)    or    median(|rounding|) > 0.5e-3 (q75 - q25),

such as times of a day in seconds since 1970 in float32. The second catches columns whose standard
deviation comes from a few outliers. Both use 16 to 4,096 evenly spaced rows. A spread of less than
2^-48 of the column's largest value is float64's noise around a constant, and counts as none.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ebmcore.data.parts import AT_ONCE, RowsInParts, row_slices
from ebmcore.errors import DataError
from ebmcore.spaces import row_and_column

Place = Callable[[tuple[int, ...]], str]

_TOLERANCE = 1e-3  # rounding over spread
_NARROW = 64  # the same in units of a dtype's own rounding, where that is coarser
_NOISE = 2.0**-48  # of float64, relative to a column's largest value
_FEW, _MANY = 16, 4096  # rows to check
_LOOKED_AT = 2**18  # numbers to check; more columns mean fewer rows


def refuse_lost_digits(
    x: Tensor | RowsInParts, dtype: torch.dtype, place: Place | None = None
) -> None:
    """Raise DataError when numbers, (n, *event), would lose their digits in a dtype.

    Args:
        x: The numbers, of any type of integers or floats.
        dtype: The float type that they will have.
        place: Says where an index is, as `row 3, column 0`.
    """
    place = place or row_and_column
    if x.dtype.is_floating_point:
        if torch.finfo(x.dtype).eps < torch.finfo(dtype).eps:
            _refuse_rounded(x, dtype, place)
    elif x.dtype != torch.bool and torch.iinfo(x.dtype).max > _most(dtype):
        _refuse_inexact(x, dtype, place)


def name_of(dtype: torch.dtype) -> str:
    """Return a dtype's name as configs write it."""
    return str(dtype).removeprefix("torch.")


def whole_number_lost(value: int, became: float, dtype: torch.dtype) -> str:
    """Describe a whole number that would become another one, and the way out."""
    changed = f"{int(became)}" if math.isfinite(became) else f"{became}"
    holds = abs(value) <= 2**53 or int(float(value)) == value
    way = f"Set dtype: float64, which holds it, or {_SHIFT}" if holds else _SHIFT.capitalize()
    return (
        f"is {value}, which {name_of(dtype)} can't hold: it would become {changed}. {way}, so that "
        f"whole numbers are at most {_most(dtype):,}"
    )


_SHIFT = "subtract an offset or divide the column first"


def _most(dtype: torch.dtype) -> int:
    """Return 2^p, up to which a float type holds every whole number."""
    return min(round(2 / torch.finfo(dtype).eps), math.floor(torch.finfo(dtype).max))


def _refuse_inexact(x: Tensor | RowsInParts, dtype: torch.dtype, place: Place) -> None:
    most = _most(dtype)
    size = math.prod(x.shape[1:])
    for rows in row_slices(x) if size else ():
        part = x[rows].reshape(-1)
        whole = part.cpu().numpy()  # NumPy compares unsigned numbers, torch doesn't
        if -most <= int(whole.min()) and int(whole.max()) <= most:
            continue
        became = part.to(dtype).double().cpu().numpy()
        limits = torch.iinfo(x.dtype)
        inside = (became >= limits.min) & (became < float(limits.max + 1))
        changed = ~inside | (np.where(inside, became, 0).astype(whole.dtype) != whole)
        if changed.any():
            at = int(changed.argmax())
            text = whole_number_lost(int(whole[at]), float(became[at]), dtype)
            raise DataError(f"{place(_index(rows.start * size + at, x.shape))} {text}")


def _refuse_rounded(x: Tensor | RowsInParts, dtype: torch.dtype, place: Place) -> None:
    if len(x) < 2:
        return
    columns = math.prod(x.shape[1:])
    rows = min(_MANY, max(_FEW, _LOOKED_AT // columns))
    stride = -(-len(x) // rows)
    some = x[::stride].reshape(-1, columns)
    at_once = max(1, AT_ONCE // len(some))
    for first in range(0, columns, at_once):
        exact = some[:, first : first + at_once].double()
        became = exact.to(dtype).double()
        lost = _too_rounded(exact, became, dtype)
        if lost.any():
            column = int(lost.nonzero()[0])
            row = int((became - exact)[:, column].abs().argmax())
            index = _index(row * stride * columns + first + column, x.shape)
            raise DataError(
                f"{place(index)} {_rounded(exact[:, column], became[:, column], row, dtype)}"
            )


def _too_rounded(exact: Tensor, became: Tensor, dtype: torch.dtype) -> Tensor:
    """Tell for each column, (rows, columns) -> (columns,), whether rounding hides its spread."""
    tolerance = max(_TOLERANCE, _NARROW * torch.finfo(dtype).eps / 2)
    rounding = (became - exact).abs()
    ordered = exact.sort(0).values
    n = len(ordered)
    quartiles = ordered[3 * n // 4] - ordered[n // 4]
    noise = _NOISE * exact.abs().amax(0)
    by_std = rounding.square().mean(0).sqrt() > tolerance * exact.std(0, correction=0)
    by_quartiles = rounding.median(0).values > tolerance / 2 * quartiles
    varies = ordered[-1] - ordered[0] > noise
    return (by_std & varies) | (by_quartiles & (quartiles > noise))


def _rounded(exact: Tensor, became: Tensor, row: int, dtype: torch.dtype) -> str:
    before, after = (len(torch.unique(values)) for values in (exact, became))
    return (
        f"is {float(exact[row])!r} and would be {float(became[row])!r} in {name_of(dtype)}, whose "
        f"rounding is too coarse for how little that column varies: of {before} different values "
        f"in {len(exact)} rows {after} would be left. Set dtype: float64, or {_SHIFT}"
    )


def _index(flat: int, shape: torch.Size) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape))
