"""Turn a dataset's result into tensors: check it, split it, compute its range."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset

from ebmcore.contracts import Conditions
from ebmcore.data.collated import collated
from ebmcore.data.fingerprint import Fingerprint, RowHash, held_out_again
from ebmcore.data.mask import Mask, as_mask, pad_events, read_mapping, separate_events
from ebmcore.data.parts import FirstRows, Padded, RowsInParts, filled, in_parts_reader
from ebmcore.data.stream import Stream
from ebmcore.data.transforms import Transforms
from ebmcore.data.values.arrays import frame_numbers, is_frame, is_series, torch_array
from ebmcore.data.values.precision import name_of, refuse_lost_digits
from ebmcore.data.values.unfit import in_the_data, nan_as_padding, refuse_unfit
from ebmcore.errors import DataError
from ebmcore.runs.example import Example
from ebmcore.spaces import REAL, Space


class Data(NamedTuple):
    """The points of a run."""

    x: Tensor  # (n, *event), to train on
    held_out: Tensor  # (m, *event)
    y: Tensor | None  # (n,), labels of x
    bounds: Tensor  # (2, *event), lowest and highest value of x, in the run's dtype
    source: Any = None  # the dataset component, which may have log_prob and entropy
    held_out_y: Tensor | None = None  # (m,), labels of the held-out points
    space: Space = REAL
    warnings: tuple[str, ...] = ()
    mask: Tensor | None = None  # (n, T), bool: the steps of x that count, if not all do
    held_out_mask: Tensor | None = None  # (m, T), those of the held-out points
    ended_by_nan: str = ""  # a sentence: which steps of NaN the masks leave out
    transforms: Transforms | None = None  # that made x and held_out
    rows: Tensor | None = None  # (n, *event) that batches are drawn from, if a transform draws
    held_out_log_det: Tensor | None = None  # (m,), log |det| of the transforms, nats
    stream: Stream | None = None  # reads all rows, of which x and held_out are then a selection
    columns: tuple[str, ...] | None = None  # the names of the numbers of a flat event, if known
    fingerprint: Fingerprint | None = None  # of all rows, before transforms
    changes: tuple[str, ...] = ()  # warnings: how they differ from those that a run recorded
    example: Example | None = None  # a few rows as they were read, before transforms

    @property
    def conditions(self) -> Conditions:
        """The conditions of x."""
        return Conditions(self.y, self.mask)

    @property
    def n(self) -> int:
        """The number of training points."""
        return len(self.x) if self.stream is None else len(self.stream)

    @property
    def n_held_out(self) -> int:
        """The number of held-out points."""
        return len(self.held_out) if self.stream is None else self.stream.n_held_out

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one event."""
        return tuple(self.x.shape[1:])

    def to(self, device: torch.device) -> Data:
        """Return the same points on a device."""
        fields = {name: value for name, value in self._asdict().items() if name != "source"}
        moved: dict[str, Any] = {
            k: v.to(device) for k, v in fields.items() if isinstance(v, Tensor)
        }
        return self._replace(**moved)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Read or draw data in the run's dtype, not in a narrower one first."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def load_data(
    source: Any,
    *,
    holdout: float,
    generator: Generator,
    dtype: torch.dtype,
    stratify: bool = False,
    space: Space | None = None,
    known: Fingerprint | None = None,
    most: int | None = None,
) -> Data:
    """Read a dataset: a tensor, a pair (x, y), a mapping, a torch Dataset, or a callable of one.

    A tensor may be an array or a DataFrame of pandas, too, whose columns then have its names.

    A dataset with `read_in_parts`, which returns `RowsInParts`, is read by that.
    A mapping has x and perhaps y, and a mask or lengths, which say the steps of events that count.
    Without these, x may be a list of events of different length, or have whole steps of NaN at the
    ends of events, which then don't count, with a warning.
    The generator draws the held-out points at random, with `stratify` the same share of each label.
    `known`, what a run recorded of them, says the held-out points in place of that, and rows that
    were appended since are left out. `most` is how many numbers x may have.
    The space is by default the dataset's own, `space`, and otherwise Real(); then whole numbers
    become real ones with a warning. Raises DataError when there are no points, they hold NaN or inf
    or lie outside of the space, the dtype would lose their digits, the dataset is none of these
    kinds, or its rows are no longer the known ones.
    """
    points, y, mask = read_points(source, dtype)
    if most is not None and (count := math.prod(points.shape)) > most:
        raise DataError(
            f"the dataset has {len(points)} events of {count // len(points)} numbers; at most "
            f"{most} numbers are held in memory at once, so give some of its events"
        )
    declared = space_of(source, space)
    space = declared or REAL
    event_shape, hashed = tuple(points.shape[1:]), RowHash()
    columns, doubts = columns_of(source, event_shape)
    if known is not None and len(points) >= known.rows:
        appended, chosen = len(points) - known.rows, known.held_out
        points = FirstRows(points, known.rows) if appended else points
        y, mask = (None if part is None else part[: known.rows] for part in (y, mask))
    else:
        appended, chosen = 0, chosen_rows(len(points), y, holdout, generator, stratify)
    ended_by_nan = ""
    if mask is None:
        points, mask, ended_by_nan = nan_as_padding(points, space, dtype)
        doubts = (*doubts, ended_by_nan) if ended_by_nan else doubts
    else:
        refuse_unfit(points, space, dtype)
    train, held_out = filled(points, chosen, space.dtype_in(dtype), hashed.add)
    hashed.add(None, y, mask)
    fingerprint = hashed.fingerprint(event_shape, train.dtype, columns, held_out=chosen)
    return Data(
        x=train,
        held_out=held_out,
        y=None if y is None else y[~chosen],
        bounds=bounds_of(source, train, dtype),
        source=source,
        held_out_y=None if y is None else y[chosen],
        space=space,
        warnings=doubts if declared else (*doubts, *whole_numbers(points.dtype)),
        mask=None if mask is None else mask[~chosen],
        held_out_mask=None if mask is None else mask[chosen],
        ended_by_nan=ended_by_nan,
        columns=columns,
        fingerprint=fingerprint,
        changes=held_out_again(fingerprint, known, appended, stored=is_stored(source)),
        example=Example.first(points, y, mask),
    )


def is_stored(source: Any) -> bool:
    """Tell whether a dataset holds its rows or reads them from files, rather than compute them."""
    of_a_file = hasattr(source, "like") or getattr(source, "path", None) is not None
    return of_a_file or not callable(source)


class Points(NamedTuple):
    """The points of a dataset as it gives them, in its own types."""

    x: RowsInParts  # (n, *event), at least one row, 0 at the steps that don't count
    y: Tensor | None  # (n, …)
    mask: Tensor | None  # (n, T), bool


def read_points(source: Any, dtype: torch.dtype) -> Points:
    """Read a dataset, but of stored rows (`RowsInParts`) not the numbers. Raises DataError."""
    found = source
    if callable(found) and not isinstance(found, (Tensor, TorchDataset)):
        with default_dtype(dtype):
            found = in_parts_reader(found)()
    x, y, said = _tensors(found, dtype)
    if x.ndim == 0 or len(x) == 0:
        raise DataError(f"the dataset has no points: shape {tuple(x.shape)}")
    points = Padded(x, None)
    mask = None if said is None else as_mask(*said, torch.empty(points.shape, device="meta"))
    points = Padded(x, mask)
    if points.dtype.is_complex:
        raise DataError("the dataset holds complex numbers; give the two parts of each as columns")
    return Points(points, y, mask)


def chosen_rows(
    n: int, y: Tensor | None, holdout: float, generator: Generator, stratify: bool = False
) -> Tensor:
    """Return which of the points are held out, (n,) bool. Raises DataError for a bad share."""
    if not 0 <= holdout < 1:
        raise DataError(f"holdout should be a share, at least 0 and below 1; got {holdout}")
    kept_out = round(n * holdout)
    chosen = torch.zeros(n, dtype=torch.bool)
    if stratify:
        order = torch.randperm(n, generator=generator) if kept_out else torch.arange(n)
        chosen[_stratified(y, order, holdout)] = True
    elif kept_out:
        chosen[torch.randperm(n, generator=generator)[:kept_out]] = True
    return chosen


def _stratified(y: Tensor | None, order: Tensor, holdout: float) -> Tensor:
    """Return the points to hold out: of each label the first ones of an order."""
    if y is None or y.ndim != 1 or y.is_floating_point() or y.is_complex():
        found = "none" if y is None else f"labels of shape {tuple(y.shape)}, {y.dtype}"
        raise DataError(f"stratify needs one whole number as label of each point; found {found}")
    rows = [order[y[order] == label] for label in torch.unique(y)]
    return torch.cat([row[: round(len(row) * holdout)] for row in rows])


def _tensors(
    found: Any, dtype: torch.dtype
) -> tuple[Tensor | RowsInParts, Tensor | None, Mask | None]:
    if isinstance(found, TorchDataset):
        if isinstance(found, IterableDataset):
            raise DataError("an IterableDataset has no length to shuffle; give one with indices")
        found = collated(found)
        found = tuple(found) if isinstance(found, list) else found
    found, said = read_mapping(found)
    parts = found if isinstance(found, tuple) and len(found) in (1, 2) else (found,)
    x, own = _points(parts[0], dtype)
    if said is not None and own is not None:
        raise DataError(
            "the events have different lengths, which say the steps that count; leave out "
            f"{said.name}"
        )
    if len(parts) == 1:
        return x, None, said or own
    y = _tensor(parts[1], dtype)
    if x.shape[:1] != y.shape[:1]:
        raise DataError(f"x has shape {tuple(x.shape)}, its labels {tuple(y.shape)}")
    return x, y, said or own


def _points(found: Any, dtype: torch.dtype) -> tuple[Tensor | RowsInParts, Mask | None]:
    """Return points, and the lengths of those that come one by one."""
    if isinstance(found, RowsInParts):
        return found, None
    events = separate_events(found)
    if events is None:
        return _tensor(found, dtype), None
    x, lengths = pad_events(events)
    if x.dtype == torch.float64 and not any(isinstance(e, Tensor | np.ndarray) for e in events):
        refuse_lost_digits(x, dtype, in_the_data)
        x = x.to(dtype)
    return x, None if lengths is None else Mask("lengths", lengths)


def _tensor(found: Any, dtype: torch.dtype) -> Tensor:
    """Return a tensor or an array unchanged; list items in the run's dtype, or as integers.

    A table of pandas gives its numbers.
    """
    if is_frame(found):
        found = frame_numbers(found)
    elif is_series(found):
        found = frame_numbers(found.to_frame())[:, 0]
    if isinstance(found, np.ndarray):
        found = torch_array(found)
    if isinstance(found, (Tensor, np.ndarray)):
        return torch.as_tensor(found)
    try:
        with default_dtype(torch.float64):  # as wide as Python's floats
            listed = torch.as_tensor(found)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if isinstance(error, OverflowError) or "Overflow" in str(error):
            raise DataError(
                "the dataset holds whole numbers of more than 64 bits; subtract an offset or divide"
            ) from error
        raise DataError(
            "a dataset returns a tensor (n, *event), a pair (x, y), a mapping with x and perhaps "
            f"y, mask or lengths, or a torch Dataset; got {type(found).__name__}"
        ) from error
    if listed.dtype != torch.float64:
        return listed
    _refuse_wide_integers(found, listed)
    refuse_lost_digits(listed, dtype, in_the_data)
    return listed.to(dtype)


def _refuse_wide_integers(found: Any, listed: Tensor) -> None:
    """Refuse whole numbers in mixed lists that float64 can't hold."""
    if not listed.numel() or listed.abs().max() <= 2**53:
        return
    for index, value in np.ndenumerate(np.array(found, dtype=object)):
        if isinstance(value, int) and int(float(value)) != value:
            raise DataError(f"{in_the_data(index)} is {value}, beyond what a float holds exactly")


def whole_numbers(dtype: torch.dtype) -> tuple[str, ...]:
    """Warn of data of whole numbers whose space nothing says."""
    if dtype.is_floating_point:
        return ()
    return (
        f"the data are whole numbers ({name_of(dtype)}) and are taken as real ones, since no "
        "space is declared: set data.space to real, binary or {type: categorical, k: 10} (in "
        "Python `space=ebmcore.Binary()`) to say which they are",
    )


def space_of(source: Any, space: Space | None) -> Space | None:
    """Return the space that the config says, or else the dataset; None if neither does."""
    declared = space or getattr(source, "space", None)
    return declared if isinstance(declared, Space) else None


def columns_of(
    source: Any, event_shape: tuple[int, ...]
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return the names that a dataset's `columns` gives to the numbers of a flat event, if any.

    Beside them stand the dataset's own `warnings`, and one when there are more or fewer names than
    numbers.
    """
    found = getattr(source, "columns", None)
    if is_frame(source):
        found = tuple(map(str, source.columns))
    said = tuple(getattr(source, "warnings", ()))
    if not isinstance(found, tuple | list) or not all(isinstance(name, str) for name in found):
        return None, said
    if (len(found),) == event_shape:
        return tuple(found), said
    return None, (
        *said,
        f"the dataset's `columns` has {len(found)} names, and an event has shape "
        f"{list(event_shape)}; they are left out",
    )


def bounds_of(source: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the bounds that the dataset says, or else the range of x, (2, *event)."""
    bounds = getattr(source, "bounds", None)
    return value_range(x).to(dtype) if bounds is None else torch.as_tensor(bounds, dtype=dtype)


def value_range(x: Tensor) -> Tensor:
    """Return the lowest and the highest value of each number of an event, (2, *event)."""
    return torch.stack([x.amin(0), x.amax(0)])
