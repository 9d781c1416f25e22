"""Event spaces of finitely many events: the space to check in, its draws, and all its events.

A space has `sizes(event_shape)`, how many values each number of an event takes or None,
`sample(shape, generator, dtype=…)` and `dtype_in(dtype)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ebmcore.errors import EbmError
from ebmcore_testing.measures.observed import seeded

_K = 3  # categories, for a part that serves any number of them
_MOST = 512  # events that are worth enumerating


def first_space(spaces: Iterable[Any]) -> Any:
    """Choose the space to check a part in, of the classes that it serves; None: all of R."""
    spaces = tuple(spaces)
    return None if not spaces or any(_name(space) == "Real" for space in spaces) else spaces[0]


def as_instance(space: Any) -> Any:
    """Return a space, or make one of its class."""
    if not isinstance(space, type):
        return space
    try:
        return space(_K) if _name(space) == "Categorical" else space()
    except TypeError as error:
        raise EbmError(
            f"the suite can't choose a {_name(space)} space: declare check_space"
        ) from error


def _name(space: Any) -> str:
    return str((space if isinstance(space, type) else type(space)).__name__)


def sizes(space: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return how many values each number of an event takes, or None for infinitely many."""
    return None if space is None else space.sizes(shape)


def draw(space: Any, shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> Tensor:
    """Draw uniform events of that shape, (n, *event), for floats of `dtype`."""
    if space is None:
        return torch.randn(shape, generator=seeded(seed), dtype=dtype)
    drawn: Tensor = space.sample(shape, seeded(seed), dtype=dtype)
    return drawn


class AllEvents:
    """All events of a finite space, and the place of each. None of them when there are over 512."""

    def __init__(self, space: Any, shape: tuple[int, ...]) -> None:
        self.sizes = torch.tensor(sizes(space, shape), dtype=torch.int64)
        self.strides = self.sizes.cumprod(0) // self.sizes
        codes = torch.arange(int(self.sizes.prod()))[:, None]
        digits = (codes // self.strides % self.sizes).reshape(-1, *shape)
        self.x = digits.to(space.dtype_in(torch.float64))  # (events, *event)

    def places(self, x: Tensor) -> Tensor:
        """Return the place of each event, (n, *event) -> (n,); -1 for one that isn't there."""
        flat = x.flatten(1).double()
        there = ((flat == flat.round()) & (flat >= 0) & (flat < self.sizes)).all(1)
        return torch.where(there, (flat * self.strides).sum(1), -1.0).long()


def few(space: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether a space has few enough events of that shape to enumerate them."""
    count = sizes(space, shape)
    return count is not None and math.prod(count) <= _MOST
