"""Spaces whose events are bits or categories, and points that such events stand for."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ebmcore import Binary, Categorical, Space
from ebmcore_monitors.likelihood.density import original


def is_lattice(space: Space) -> bool:
    """Tell whether events are bits or categories."""
    return isinstance(space, Binary | Categorical)


def decoded(dataset: Any, x: Tensor) -> Tensor:
    """Return the points that events stand for, where the dataset has a method `decode`.

    Shapes: (n, *event) -> (n, *point), such as the places in the plane that Gray codes name; other
    datasets' events as they are.
    """
    decode = getattr(original(dataset), "decode", None)
    points: Tensor = x if decode is None else decode(x)
    return points
