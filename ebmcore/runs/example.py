"""A few rows of a run's data as they were read: the shape and type that the trained model takes."""

from __future__ import annotations

from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ebmcore.data.parts import RowsInParts
from ebmcore.errors import DataError

_ROWS, _NUMBERS = 3, 2**18  # at most


class Example(NamedTuple):
    """The first rows of a dataset, before transforms."""

    x: Tensor  # (k, *event)
    y: Tensor | None = None  # (k, …)
    mask: Tensor | None = None  # (k, T), bool

    @classmethod
    def first(
        cls, x: Tensor | RowsInParts, y: Tensor | None = None, mask: Tensor | None = None
    ) -> Example | None:
        """Return the first rows, one at least; None when one alone is very large."""
        numbers = max(1, x.shape[1:].numel())
        rows = min(_ROWS, _NUMBERS // numbers)
        if not rows:
            return None
        beside = (None if of is None else of[:rows].clone() for of in (y, mask))
        return cls(x[:rows].clone(), *beside)

    def packed(self, *, with_y: bool) -> bytes:
        """Return it as the content of a safetensors file; without its y if the energy needs none.

        Raises DataError when its type can't be saved.
        """
        found = {"x": self.x, "y": self.y if with_y else None, "mask": self.mask}
        held = {k: v.detach().cpu().contiguous() for k, v in found.items() if v is not None}
        try:
            return save(held)
        except (SafetensorError, KeyError, ValueError) as error:
            raise DataError(f"a row of {self.x.dtype} can't be saved: {error}") from error

    @classmethod
    def unpacked(cls, content: bytes) -> Example:
        """Read it again. Raises DataError when it isn't as it was written."""
        try:
            found = load(content)
            return cls(found["x"], found.get("y"), found.get("mask"))
        except (SafetensorError, KeyError, ValueError) as error:
            raise DataError(f"no rows of data: {error}") from error
