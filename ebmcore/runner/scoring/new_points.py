"""New points for a trained energy: a tensor, an array, a table of pandas, or the rows of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebmcore.data.foreign import frame_numbers, is_frame, torch_array
from ebmcore.data.load import read_points
from ebmcore.data.parts import RowsInParts, row_slices
from ebmcore.data.unfit import refuse_unfit_rows
from ebmcore.errors import DataError, EbmError, first_line
from ebmcore.spaces import Space

_AS_A_FILE = (
    "score a file of the table (x.to_parquet(…)): the run's dataset reads that as its own, with "
    "its `categories`, `label` and `impute`"
)


class NewPoints(NamedTuple):
    """Points in the units of the data, read as they are asked for."""

    place: str  # in messages: the file, or `x`
    x: RowsInParts  # (n, *event), 0 at the steps that don't count
    y: Tensor | None = None  # (n, …)
    mask: Tensor | None = None  # (n, T), bool
    columns: Sequence[str] | None = None
    ids: Sequence[Any] | None = None  # (n,), the names of the rows
    warnings: Sequence[str] = ()  # of the dataset that read them
    mend: str = "remove or mend it"  # how to get rid of a number that isn't finite

    def parts(self) -> Iterator[slice]:
        """Divide the rows into parts of a few megabytes."""
        return row_slices(self.x)

    def conditions(self, rows: slice) -> tuple[Tensor | None, Tensor | None]:
        """Return y and the mask of some rows."""
        y, mask = (None if of is None else of[rows] for of in (self.y, self.mask))
        return y, mask

    def read(self, rows: slice, space: Space, dtype: torch.dtype) -> Tensor:
        """Read some rows as events of a run. Raises DataError that names the first bad number."""
        given = self.x[rows]
        if given.is_floating_point() and not (finite := given.isfinite()).all():
            row, *rest = map(int, (~finite).nonzero()[0])
            at = f"row {rows.start + row}, {self._column(rest)} (counted from 0)"
            raise DataError(f"{self.place}: {at} is {given[row, *rest].item()}; {self.mend}")
        try:
            refuse_unfit_rows(given, torch.arange(rows.start, rows.stop), space, dtype)
        except DataError as error:
            raise DataError(f"{self.place}: {error}") from error
        return given.to(space.dtype_in(dtype))

    def _column(self, index: list[int]) -> str:
        if len(index) > 1:
            return f"index {index}"
        return f"column {self.columns[index[0]]!r}" if self.columns else f"column {index[0]}"


def points_of(dataset: Any, place: str, dtype: torch.dtype) -> NewPoints:
    """Read a dataset of new points, such as a `like(path)` of a run's own. Raises DataError."""
    try:
        found = read_points(dataset, dtype)
    except EbmError:
        raise
    except (Exception, SystemExit) as error:
        kind = type(dataset).__name__
        raise DataError(f"{place}: dataset {kind} can't read it: {first_line(error)}") from error
    columns, ids = getattr(dataset, "columns", None), getattr(dataset, "ids", None)
    if ids is not None and len(ids) != len(found.x):
        raise DataError(f"{place}: has {len(found.x)} rows and {len(ids)} ids")
    said = getattr(dataset, "warnings", ())
    return NewPoints(place, found.x, found.y, found.mask, columns, ids, tuple(said))


def points_given(
    x: Any, y: Any, mask: Any, columns: Sequence[str] | None, dtype: torch.dtype
) -> NewPoints:
    """Take points from memory: a tensor, an array, a list, or a DataFrame of pandas.

    A DataFrame's columns are those of the names `columns`, in their order; others are left out. y
    may be a tensor (n, …), a number for all, or the name of a column; mask is (n, T).
    Raises DataError when a column is missing or holds no numbers.
    """
    mend = NewPoints._field_defaults["mend"]
    if is_frame(x):
        mend = f"{mend}, or {_AS_A_FILE}"
        if isinstance(y, str):
            x, y = x.drop(columns=_there(x, y)), x[y]
        x = _numbers(x, columns)
    try:
        x, y, mask = (None if part is None else _tensor(part) for part in (x, y, mask))
        given = {"x": x, "mask": mask}
        if y is not None:
            given["y"] = y.expand(len(x)) if y.ndim == 0 and x.ndim else y
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            "x should be a tensor or an array of numbers (n, *event), a DataFrame or the path of a "
            f"file: {first_line(error)}"
        ) from error
    try:
        found = read_points(given, dtype)
    except DataError as error:
        raise DataError(f"x: {error}") from error
    return NewPoints("x", found.x, found.y, found.mask, columns, mend=mend)


def _tensor(given: Any) -> Tensor:
    if isinstance(given, Tensor):
        return given.detach().cpu()
    array = torch_array(np.asarray(given))
    return torch.from_numpy(np.array(array, order="C"))  # a copy: it may be read-only


def _numbers(frame: Any, columns: Sequence[str] | None) -> Any:
    """Return the numbers of a DataFrame, (n, columns), those that are missing as NaN."""
    if columns is not None:
        for name in columns:
            _there(frame, name)
        frame = frame[list(columns)]
    try:
        return frame_numbers(frame)
    except DataError as error:
        raise DataError(f"x: {error}, as the run's data were, or {_AS_A_FILE}") from error


def _there(frame: Any, name: str) -> str:
    count = list(frame.columns).count(name)
    if count == 1:
        return name
    has = ", ".join(map(str, frame.columns[:10]))
    if count:
        raise DataError(f"x: has {count} columns {name!r}; keep one of them")
    raise DataError(f"x: has no column {name!r}, which the run was trained on; it has {has}")
