"""Functions as transforms: one that a local file marks with `@ebmcore.transform`, or a lambda."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

from torch import Generator, Tensor

from ebmcore.contracts import Transform
from ebmcore.spaces import Space


class Mapped(Transform):
    """A function `(x) -> x'`, or `(x, generator) -> x'`, that keeps the shape and the space.

    A function that draws is an augmentation, unless its attribute `augments` is False.
    """

    spaces = (Space,)

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self.draws = "generator" in _parameters(function)
        of = getattr(function, "func", function)
        self.augments = self.draws and bool(getattr(of, "augments", True))

    def __call__(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Return x'; an augmentation without a generator changes nothing."""
        if not self.draws:
            return self.function(x)
        if generator is None and self.augments:
            return x
        own = generator or Generator(x.device).manual_seed(0)
        return self.function(x, generator=own)


def _parameters(function: Callable[..., Tensor]) -> Collection[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # one of torch's own has none to read
        return ()


def as_transform(given: Any) -> Transform:
    """Return a `Transform`; a function becomes one. Raises TypeError for anything else."""
    if isinstance(given, Transform):
        return given
    if isinstance(given, type) or not callable(given):
        raise TypeError(f"should be a Transform or a function of x; got {given!r:.80}")
    return Mapped(given)


def transform_name(transform: Any) -> str:
    """Return the name of a transform in messages: its class's, or the function's."""
    function = getattr(transform, "func", transform)
    return str(getattr(function, "__name__", type(function).__name__))
