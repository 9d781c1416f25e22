"""Events of different length: a dataset's `mask` or `lengths`, checked, or events to pad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ebmcore.errors import DataError

_NAMES = ("x", "y", "mask", "lengths")


class Mask(NamedTuple):
    """The steps that count, as a dataset says it: `mask` or `lengths`."""

    name: str
    values: Any


def read_mapping(found: Any) -> tuple[Any, Mask | None]:
    """Return what a mapping or a NamedTuple holds as x or (x, y), and its mask.

    Anything else is returned as it is, without a mask. Raises DataError when a mapping has no x, a
    name that no part of a run reads, or both a mask and lengths.
    """
    fields = getattr(found, "_fields", ())
    if "mask" in fields or "lengths" in fields:
        found = found._asdict()
    if not isinstance(found, Mapping):
        return found, None
    given = {str(name): value for name, value in found.items() if value is not None}
    strange = [name for name in given if name not in _NAMES]
    if "x" not in given or strange:
        there = ", ".join(map(repr, given)) or "nothing"
        raise DataError(f"a dataset's mapping has x and perhaps y, mask or lengths; found {there}")
    if "mask" in given and "lengths" in given:
        raise DataError("the dataset has both a mask and lengths; give one of them")
    points = (given["x"], given["y"]) if "y" in given else given["x"]
    masks = [Mask(name, given[name]) for name in ("mask", "lengths") if name in given]
    return points, masks[0] if masks else None


def as_mask(name: str, values: Any, x: Tensor) -> Tensor:
    """Return which steps of events x (n, T, …) count, bool, (n, T).

    `name` says how the values say it: as a `mask`, (n, T), or as `lengths`, (n,). A mask may also
    have further leading dimensions of x. Raises DataError when the mask is of another shape, holds
    other values than 0 and 1, the lengths aren't whole numbers from 1 to T, or an event has no step
    that counts.
    """
    values = torch.as_tensor(values)
    return _of_lengths(values, x) if name == "lengths" else _of_mask(values, x)


def _of_mask(values: Tensor, x: Tensor) -> Tensor:
    if values.ndim < 2 or values.shape != x.shape[: values.ndim]:
        raise DataError(
            f"mask should say of each step of each event whether it counts, shape "
            f"{tuple(x.shape[:2])}; got {tuple(values.shape)}"
        )
    found = values.to(torch.bool)
    if not torch.equal(found.to(values.dtype), values):
        raise DataError("mask should hold truth values, or 0 and 1; it holds other numbers")
    empty = ~found.flatten(1).any(1)
    if empty.any():
        row = int(empty.nonzero()[0])
        raise DataError(f"mask: row {row} (counted from 0) has no step that counts; remove it")
    return found


def _of_lengths(values: Tensor, x: Tensor) -> Tensor:
    if x.ndim < 2 or values.shape != x.shape[:1]:
        raise DataError(
            f"lengths should hold one number for each event, shape {tuple(x.shape[:1])}; "
            f"got {tuple(values.shape)}"
        )
    whole = values.to(torch.int64)
    wrong = (whole != values) | (whole < 1) | (whole > x.shape[1])
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise DataError(
            f"lengths should be whole numbers from 1 to {x.shape[1]}, the steps of an event; "
            f"row {row} (counted from 0) is {values[row].item():g}"
        )
    return torch.arange(x.shape[1]) < whole[:, None]


def without_padding(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return x, (n, *event), with 0 at the steps that don't count.

    Shapes: mask (n, T) for events (T, …), or as many of the leading dimensions of x as it has.
    """
    if mask is None:
        return x
    return torch.where(mask.reshape(*mask.shape, *(1 for _ in x.shape[mask.ndim :])), x, 0)


def some_masks(mask: Tensor | None, most: int = 1000) -> Tensor | None:
    """Return at most so many of the data's masks, evenly spaced, to draw those of samples from."""
    return None if mask is None else mask[:: -(-len(mask) // most)]


def separate_events(found: Any) -> Sequence[Any] | None:
    """Return a list's or an object array's events if they don't make one array; else None.

    They are tensors, arrays or lists of steps, of different length or, as tensors, of any.
    """
    if isinstance(found, np.ndarray):
        found = list(found) if found.dtype == object and found.ndim == 1 else None
    if not isinstance(found, list | tuple) or not found or not all(map(_has_steps, found)):
        return None
    tensors = all(isinstance(one, Tensor) and one.numel() > 1 for one in found)
    return found if tensors or len({len(one) for one in found}) > 1 else None


def pad_events(events: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
    """Return events of different length in one tensor, with 0 behind each, and their lengths.

    The lengths are None when they are all the same.

    Shapes: each event (T, *step), a tensor, an array or a list -> (n, largest T, *step) and (n,).
    The type is one that holds those of all; numbers of lists are float64 or int64. Raises DataError
    when an event holds other things than numbers, or has steps of another shape than the first.
    """
    found = [_event(number, event) for number, event in enumerate(events)]
    for number, event in enumerate(found):
        if event.shape[1:] != found[0].shape[1:]:
            raise DataError(
                f"event {number} (counted from 0) has steps of shape {list(event.shape[1:])}, and "
                f"event 0 of {list(found[0].shape[1:])}"
            )
    dtype = reduce(torch.promote_types, {event.dtype for event in found})
    x = pad_sequence([event.to(dtype) for event in found], batch_first=True)
    lengths = [len(event) for event in found]
    return x, torch.tensor(lengths) if len(set(lengths)) > 1 else None


def _has_steps(event: Any) -> bool:
    return isinstance(event, list | tuple) or getattr(event, "ndim", 0) > 0


def _event(number: int, event: Any) -> Tensor:
    try:
        return torch.as_tensor(event if isinstance(event, Tensor) else np.asarray(event)).detach()
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"event {number} (counted from 0) of events of different length should hold numbers, "
            f"the same for each step; it is a {type(event).__name__} that torch can't hold: {error}"
        ) from error
