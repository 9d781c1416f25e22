"""The rows of a run's data in their own units, read once more: the run holds transformed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore.data.fingerprint import Fingerprint
from ebmcore.data.load import Data, load_data
from ebmcore.errors import EbmError

RowsReader = Callable[[Fingerprint | None], Data]  # reads the rows, which no transform changed


class Rows(NamedTuple):
    """Rows of a run's data, on the CPU."""

    x: Tensor  # (n, *event), in the units of the data
    y: Tensor | None = None  # (n, …), their labels
    mask: Tensor | None = None  # (n, T), bool: the steps that count, if not all do

    @classmethod
    def trained_on(cls, data: Data) -> Rows:
        """Return those to train on."""
        return cls(data.x, data.y, data.mask)

    @classmethod
    def held_out(cls, data: Data) -> Rows:
        """Return those that were set aside."""
        return cls(data.held_out, data.held_out_y, data.held_out_mask)


def reader_of_objects(data: Data) -> RowsReader:
    """Return what reads the data of an experiment made of objects again, from the object given.

    It keeps that object, and no rows of `data` itself. It raises EbmError when the object has other
    rows now, as a function may that draws them, or streams them.
    """
    source, streamed = getattr(data.source, "original", data.source), data.stream is not None
    dtype: torch.dtype = data.bounds.dtype
    space = data.transforms.spaces[0] if data.transforms and data.transforms.parts else data.space

    def read(known: Fingerprint | None) -> Data:
        if streamed:
            raise EbmError("the rows are streamed from your Dataset; read them there")
        found = load_data(
            source, holdout=0.0, generator=Generator(), dtype=dtype, space=space, known=known
        )
        if found.changes:
            raise EbmError(f"the data that the run was given changed: {'; '.join(found.changes)}")
        return found

    return read
