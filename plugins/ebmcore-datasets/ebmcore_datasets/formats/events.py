"""Rows of a file as events: their shape, their type of floats, and 0 in place of padding."""

from __future__ import annotations

import torch
from torch import Tensor

from ebmcore import RowsInParts, without_padding
from ebmcore_datasets.formats.arrays import Rows


def as_events(
    rows: Rows,
    event: tuple[int, ...] | None,
    *,
    dtype: torch.dtype | None = None,
    masks: tuple[Tensor, ...] = (),
) -> Rows:
    """Return rows as events; those that are read in parts stay so.

    Args:
        rows: (n, *event).
        event: The shape of an event, as large as that of a row, which is the default.
        dtype: The type of floats, by default theirs; other numbers stay as they are.
        masks: Each says which steps of the events count, (n, T); the others become 0.
    """
    if isinstance(rows, Tensor):
        return _events(rows, event, dtype, masks)
    return _Events(rows, event, dtype, masks)


class _Events(RowsInParts):
    def __init__(
        self,
        rows: RowsInParts,
        event: tuple[int, ...] | None,
        dtype: torch.dtype | None,
        masks: tuple[Tensor, ...],
    ) -> None:
        self.rows = rows
        self.event = event
        self.floats = dtype
        self.masks = masks
        self.shape = torch.Size((len(rows), *(rows.shape[1:] if event is None else event)))
        self.dtype = self[:0].dtype

    def __getitem__(self, rows: slice) -> Tensor:
        masks = tuple(mask[rows] for mask in self.masks)
        return _events(self.rows[rows], self.event, self.floats, masks)

    def at(self, numbers: Tensor) -> Tensor:
        masks = tuple(mask[numbers] for mask in self.masks)
        return _events(self.rows.at(numbers), self.event, self.floats, masks)


def _events(
    x: Tensor,
    event: tuple[int, ...] | None,
    dtype: torch.dtype | None,
    masks: tuple[Tensor, ...],
) -> Tensor:
    x = x if event is None else x.reshape(len(x), *event)
    for mask in masks:
        x = without_padding(x, mask)
    return x.to(dtype) if dtype and x.is_floating_point() else x
