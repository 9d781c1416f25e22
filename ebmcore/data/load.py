"""Turn a dataset's result into tensors: check it, split it, compute its range."""

from __future__ import annotations

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
from ebmcore.data.mask import Mask, as_mask, read_mapping
from ebmcore.data.parts import Padded, RowsInParts, filled, in_parts_reader, row_slices
from ebmcore.data.precision import name_of, refuse_lost_digits
from ebmcore.data.transforms import Transforms
from ebmcore.errors import DataError
from ebmcore.spaces import REAL, Real, Space, row_and_column


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
    transforms: Transforms | None = None  # that made x and held_out
    rows: Tensor | None = None  # (n, *event) that batches are drawn from, if a transform draws
    held_out_log_det: Tensor | None = None  # (m,), log |det| of the transforms, nats

    @property
    def conditions(self) -> Conditions:
        """The conditions of x."""
        return Conditions(self.y, self.mask)

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
) -> Data:
    """Read a dataset: a tensor, a pair (x, y), a mapping, a torch Dataset, or a callable of one.

    A dataset with `read_in_parts`, which returns `RowsInParts`, is read by that.
    A mapping has x and perhaps y, and a mask or lengths, which say the steps of events that count.
    The generator draws the held-out points at random, with `stratify` the same share of each label.
    The space is by default the dataset's own, `space`, and otherwise Real(); then whole numbers
    become real ones with a warning. Raises DataError when there are no points, they hold NaN or inf
    or lie outside of the space, the dtype would lose their digits, or the dataset is none of these
    kinds.
    """
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
    declared = space or getattr(source, "space", None)
    space = declared if isinstance(declared, Space) else REAL
    _refuse_unfit(points, space, dtype)
    if not 0 <= holdout < 1:
        raise DataError(f"holdout should be a share, at least 0 and below 1; got {holdout}")
    chosen = _chosen(len(points), y, holdout, generator, stratify)
    train, held_out = filled(points, chosen, space.dtype_in(dtype))
    bounds = getattr(source, "bounds", None)
    return Data(
        x=train,
        held_out=held_out,
        y=None if y is None else y[~chosen],
        bounds=value_range(train).to(dtype)
        if bounds is None
        else torch.as_tensor(bounds, dtype=dtype),
        source=source,
        held_out_y=None if y is None else y[chosen],
        space=space,
        warnings=() if isinstance(declared, Space) else _whole_numbers(points.dtype),
        mask=None if mask is None else mask[~chosen],
        held_out_mask=None if mask is None else mask[chosen],
    )


def _chosen(
    n: int, y: Tensor | None, holdout: float, generator: Generator, stratify: bool
) -> Tensor:
    """Return which of the points are held out, (n,) bool."""
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
    found, mask = read_mapping(found)
    if isinstance(found, tuple) and len(found) == 2:
        x, y = _points(found[0], dtype), _tensor(found[1], dtype)
        if x.shape[:1] != y.shape[:1]:
            raise DataError(f"x has shape {tuple(x.shape)}, its labels {tuple(y.shape)}")
        return x, y, mask
    if isinstance(found, tuple) and len(found) == 1:
        found = found[0]
    return _points(found, dtype), None, mask


def _points(found: Any, dtype: torch.dtype) -> Tensor | RowsInParts:
    return found if isinstance(found, RowsInParts) else _tensor(found, dtype)


def _tensor(found: Any, dtype: torch.dtype) -> Tensor:
    """Return a tensor or an array unchanged; list items in the run's dtype, or as integers."""
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
    refuse_lost_digits(listed, dtype, _in_the_data)
    return listed.to(dtype)


def _refuse_wide_integers(found: Any, listed: Tensor) -> None:
    """Refuse whole numbers in mixed lists that float64 can't hold."""
    if not listed.numel() or listed.abs().max() <= 2**53:
        return
    for index, value in np.ndenumerate(np.array(found, dtype=object)):
        if isinstance(value, int) and int(float(value)) != value:
            raise DataError(f"{_in_the_data(index)} is {value}, beyond what a float holds exactly")


def _in_the_data(index: tuple[int, ...]) -> str:
    return f"the data's {row_and_column(index)}"


def _refuse_unfit(x: Padded, space: Space, dtype: torch.dtype) -> None:
    """Refuse points that the space or the dtype can't hold; read them whole only to say why."""
    for rows in row_slices(x):
        if not _fits(x[rows], space, dtype):
            _say_unfit(x[:], space, dtype)
            break
    refuse_lost_digits(x, dtype, _in_the_data)


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


def _say_unfit(given: Tensor, space: Space, dtype: torch.dtype) -> None:
    if not isinstance(space, Real):
        _refuse_outside(given, space)
    x = given.to(space.dtype_in(dtype))
    if given.is_floating_point():
        _refuse_non_finite(x, given)
    refuse_lost_digits(given, dtype, _in_the_data)
    if isinstance(space, Real):
        _refuse_outside(x, space)


def _refuse_non_finite(x: Tensor, given: Tensor) -> None:
    bad = ~torch.isfinite(x.flatten(1)).all(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        if torch.isfinite(given[row]).all():
            raise DataError(
                f"row {row} of the data (counted from 0) holds numbers too large for "
                f"{name_of(x.dtype)}; divide them, or set dtype: float64"
            )
        raise DataError(
            f"row {row} of the data (counted from 0) holds NaN or inf, "
            f"as do {int(bad.sum())} of {len(x)} rows in all; remove or mend them"
        )


def _refuse_outside(x: Tensor, space: Space) -> None:
    try:
        space.check(x)
    except ValueError as error:
        raise DataError(f"the data are declared {space}: {error}") from error


def _whole_numbers(dtype: torch.dtype) -> tuple[str, ...]:
    if dtype.is_floating_point:
        return ()
    return (
        f"the data are whole numbers ({name_of(dtype)}) and are taken as real ones, since no "
        "space is declared: set data.space to real, binary or {type: categorical, k: 10} (in "
        "Python `space=ebmcore.Binary()`) to say which they are",
    )


def value_range(x: Tensor) -> Tensor:
    """Return the lowest and the highest value of each number of an event, (2, *event)."""
    return torch.stack([x.amin(0), x.amax(0)])
