"""The items of a map-style torch Dataset as tensors, a few at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.data import Dataset, default_collate

from ebmcore.data.parts import AT_ONCE

_FIRST = 64  # items, whose size tells how many are read at once


def collated(dataset: Dataset[Any]) -> Any:
    """Return what `default_collate` makes of all items, without a list of them.

    Items that it collates to tensors are written into these at once. Those that change their type
    or shape on the way are read again, all together. Events of different length are returned as a
    list, in a mapping as `x`.
    """
    n = len(dataset)  # type: ignore[arg-type] # map-style ones have a length
    first = _items(dataset, 0, min(n, _FIRST))
    if n <= _FIRST:
        return _together(first)
    try:
        tensors, form = tree_flatten(default_collate(first))
    except RuntimeError:
        return _together([*first, *_items(dataset, _FIRST, n)])
    if not all(isinstance(one, Tensor) and one.layout == torch.strided for one in tensors):
        return _together([*first, *_items(dataset, _FIRST, n)])
    whole = [one.new_empty((n, *one.shape[1:])) for one in tensors]
    _write(tensors, whole, 0)
    step = max(1, AT_ONCE // max(1, sum(one[0].numel() for one in tensors)))
    for start in range(_FIRST, n, step):
        items = _items(dataset, start, min(start + step, n))
        try:
            tensors, formed = tree_flatten(default_collate(items))
        except (RuntimeError, TypeError, ValueError, KeyError):
            formed = None  # they don't go together, nor will all
        if formed != form or not _write(tensors, whole, start):
            return _together(_items(dataset, 0, n))
    return tree_unflatten(whole, form)


def _together(items: list[Any]) -> Any:
    try:
        return default_collate(items)
    except RuntimeError:
        rows = [_named(item) for item in items]
        steps = {getattr(row.get("x"), "shape", ())[1:] for row in rows}
        if len(steps) > 1 or not all(
            _is_sequence(row.get("x")) and row.keys() == rows[0].keys() for row in rows
        ):
            raise
        beside = {key: default_collate([row[key] for row in rows]) for key in rows[0] if key != "x"}
        return {"x": [row["x"] for row in rows], **beside}


def _named(item: Any) -> Mapping[Any, Any]:
    """Return x, or (x, y), as a mapping."""
    if isinstance(item, Mapping):
        return item
    return dict(zip("xy", item, strict=False)) if isinstance(item, tuple) else {"x": item}


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Tensor | np.ndarray) and x.ndim > 0


def _items(dataset: Dataset[Any], start: int, stop: int) -> list[Any]:
    return [dataset[i] for i in range(start, stop)]


def _write(tensors: list[Tensor], whole: list[Tensor], start: int) -> bool:
    """Write rows from a place on; tell whether all have the type and shape of the others."""
    for part, one in zip(tensors, whole, strict=True):
        if part.dtype != one.dtype or part.shape[1:] != one.shape[1:]:
            return False
        one[start : start + len(part)] = part
    return True
