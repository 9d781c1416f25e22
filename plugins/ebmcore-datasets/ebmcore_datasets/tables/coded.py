"""Labels and categories of a table, whose values are known once all of it was read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ebmcore import DataError
from ebmcore_datasets.tables.codes import Codes
from ebmcore_datasets.tables.keys import called
from ebmcore_datasets.tables.unfit import Table


def categories_of(
    codes: Codes, table: Table, column: int, given: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Return a column's categories in their order, those of the training file if it is given.

    Raises DataError when a cell is missing or has another one, or when there is only one.
    """
    if codes.missing is not None:
        raise DataError(
            f"{table.path}: {table.place(codes.missing, column)} is missing, and a category can't "
            "be imputed: write a word for it, or remove the row"
        )
    if given is not None:
        _refuse_unknown(codes, table, column, given, "category")
        return given
    known = codes.ordered()
    if len(known) < 2:
        raise DataError(
            f"{table.path}: column {called(column, table.names)} holds one category, {known[0]!r}: "
            "leave it out with drop"
        )
    return known


def labels_of(
    codes: Codes, table: Table, column: int, given: tuple[str, ...] | None
) -> tuple[np.ndarray[Any, Any], tuple[str, ...] | None]:
    """Return the label of each code, int64, and the classes that they number, if they are words.

    `given` are those of the training file; empty when its labels are whole numbers.
    Raises DataError when a cell is missing, a fraction, or none of the training file's classes.
    """
    if codes.missing is not None:
        raise DataError(
            f"{table.path}: {table.place(codes.missing, column)} is missing, and holds the label "
            "of its row: remove the row"
        )
    whole = None if given else codes.whole_numbers()
    if whole is None:
        _refuse_fractions(codes, table, column)
        classes = codes.ordered() if given is None else given
        _refuse_unknown(codes, table, column, classes, "label")
        return codes.order(classes).astype(np.int64), classes
    for value, number in zip(codes.values, whole, strict=True):
        if not -(2**63) <= number < 2**63:
            place = table.place(codes.row_of(value), column)
            raise DataError(f"{table.path}: {place} is {value}, and labels should be below 2^63")
    return np.array(whole, dtype=np.int64), None


def _refuse_fractions(codes: Codes, table: Table, column: int) -> None:
    for value in codes.fractions():
        place = table.place(codes.row_of(value), column)
        raise DataError(
            f"{table.path}: {place} is {value}, and labels should be whole numbers or words"
        )


def _refuse_unknown(
    codes: Codes, table: Table, column: int, known: Sequence[str], kind: str
) -> None:
    for value in codes.values:
        if value not in known:
            some = ", ".join(map(repr, known[:12])) or "whole numbers"
            some += ", …" if len(known) > 12 else ""
            raise DataError(
                f"{table.path}: {table.place(codes.row_of(value), column)} holds the {kind} "
                f"{value!r}, and the training file has {some}. Remove the rows"
            )
