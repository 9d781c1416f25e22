"""Cells of one column as numbers, with those that are missing or are no numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

MISSING = frozenset(
    ["", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "<na>", "?", "-", "."]
)
_TRUTH = {"true": 1.0, "false": 0.0}


class Cells(NamedTuple):
    """One column of a block of rows.

    Attributes:
        values: (k,) float64, NaN where a cell is missing or no number.
        whole: (k,) the numbers as integers, int64 or Python's, with 0 where a cell is missing; None
            when a cell is written otherwise, such as 1.0.
        bad: The rows, counted in the block, of cells that are neither numbers nor missing.
        kind: What the column's type says that they are instead, such as dates.
    """

    values: np.ndarray[Any, Any]
    whole: np.ndarray[Any, Any] | None
    bad: tuple[int, ...] = ()
    kind: str = ""


def is_number(cell: str) -> bool:
    """Tell whether a cell holds a number, or True or False."""
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def read_cells(array: pa.Array) -> Cells:
    """Return a column's cells as numbers: of text what it says, of truth values 0 and 1."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(array.type):
        return read_cells(array.dictionary_decode())
    if types.is_string(array.type) or types.is_large_string(array.type):
        return _of_text(array)
    if types.is_null(array.type):
        return Cells(np.full(len(array), np.nan), np.zeros(len(array), np.int64))
    if types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if types.is_integer(array.type):
        return _of_integers(array)
    if types.is_floating(array.type) or types.is_decimal(array.type):
        return Cells(_floats(array.cast(pa.float64())), None)
    kind = "dates or times" if types.is_temporal(array.type) else f"values of type {array.type}"
    present = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
    return Cells(np.full(len(array), np.nan), None, tuple(present.tolist()), kind)


def texts(array: pa.Array) -> pa.Array:
    """Return the cells as text without spaces around it; null where they are missing."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        try:
            array = array.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            array = pa.array([None if v is None else str(v) for v in array.to_pylist()])
    text = pc.utf8_trim(array, " \t\u00a0")  # the end of a line is in a cell that was not closed
    missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(sorted(MISSING), text.type))
    return pc.if_else(missing, pa.scalar(None, text.type), text)


def _of_integers(array: pa.Array) -> Cells:
    import pyarrow as pa

    values = _floats(array.cast(pa.float64(), safe=False))
    if pa.types.is_uint64(array.type) and values.size and np.nanmax(values) >= 2.0**63:
        return Cells(values, np.array(array.fill_null(0).to_pylist(), dtype=object))
    return Cells(values, array.cast(pa.int64()).fill_null(0).to_numpy())


def _of_text(array: pa.Array) -> Cells:
    import pyarrow as pa
    import pyarrow.compute as pc

    present = array
    try:
        values = _floats(array.cast(pa.float64()))
    except pa.ArrowInvalid:
        present = texts(array)
        try:
            values = _floats(present.cast(pa.float64()))
        except pa.ArrowInvalid:
            return _one_by_one(present.to_pylist())
    if not _integral(values):
        return Cells(values, None)
    present = pc.if_else(pa.array(np.isnan(values)), pa.scalar(None, present.type), present)
    try:
        whole = present.cast(pa.int64()).fill_null(0).to_numpy()
    except pa.ArrowInvalid:
        return Cells(values, _whole(present.to_pylist()))
    return Cells(values, whole)


def _one_by_one(cells: list[str | None]) -> Cells:
    values = np.full(len(cells), np.nan)
    bad = []
    for row, cell in enumerate(cells):
        if cell is not None:
            try:
                values[row] = _number(cell)
            except ValueError:
                bad.append(row)
    if bad or not _integral(values):
        return Cells(values, None, tuple(bad))
    return Cells(values, _whole(cells))


def _number(cell: str) -> float:
    if "_" in cell or "\n" in cell:  # Python reads 1_000 as a number; other software doesn't
        raise ValueError(cell)
    cell = cell.strip()
    truth = _TRUTH.get(cell.lower())
    return float(cell) if truth is None else truth


def _whole(cells: list[str | None]) -> np.ndarray[Any, Any] | None:
    """Return cells as integers; None when one is written otherwise."""
    found: list[int] = []
    for cell in cells:
        text = (cell or "0").strip()
        if text.lower() in _TRUTH:
            found.append(int(_TRUTH[text.lower()]))
        elif re.fullmatch(r"[+-]?\d+", text):
            found.append(int(text))
        else:
            return None
    fits = all(-(2**63) <= number < 2**63 for number in found)
    return np.array(found, dtype=np.int64 if fits else object)


def _integral(values: np.ndarray[Any, Any]) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(((values == np.floor(values)) & np.isfinite(values) | np.isnan(values)).all())


def _floats(array: pa.Array) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = array.to_numpy(zero_copy_only=False)  # null becomes NaN
    return found
