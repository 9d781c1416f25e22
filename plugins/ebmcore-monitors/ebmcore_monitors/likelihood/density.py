"""A dataset's own log density, and a cache of its values on grids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from ebmcore_monitors.points.chunks import evaluate
from ebmcore_monitors.points.grid import Grid

Function = Callable[[Tensor], Tensor]

GRIDS = 3  # in the cache: the box itself and its two widenings


def log_prob_of(dataset: Any) -> Function | None:
    """Return a dataset's log_prob, (n, *event) on the CPU -> (n,) in nats, or None."""
    function = getattr(dataset, "log_prob", None)
    return function if callable(function) else None


def original(dataset: Any) -> Any:
    """Return the dataset in its own units, where the data were transformed."""
    return getattr(dataset, "original", dataset)


def log_det_on(dataset: Any, points: Iterable[Tensor]) -> Tensor | None:
    """Return log |det| of the data's transforms where they have these images, (points,), in nats.

    None where the data were not transformed, or their density isn't known.
    """
    function = getattr(dataset, "log_abs_det", None)
    if log_prob_of(dataset) is None or not callable(function):
        return None
    return evaluate(function, points)


class CachedDensity:
    """log_prob on grids: evaluated once for each grid, as long as the dataset stays the same.

    A density that is itself an integral takes seconds on a grid, and the data's box does not change
    between two calls of a monitor. Cached values equal computed ones to the last bit: a grid of
    other points, or events of another dtype or shape, are evaluated again.
    """

    def __init__(self) -> None:
        self._dataset: Any = None
        self._values: dict[tuple[Any, ...], Tensor] = {}

    def on(self, dataset: Any, grid: Grid, like: Tensor) -> Tensor | None:
        """Return log p on a grid, (size,), float64, or None when the dataset has no log_prob.

        Shapes: like (n, *event), of the dtype and event shape that the points should have.
        """
        log_prob = log_prob_of(dataset)
        if log_prob is None:
            return None
        if dataset is not self._dataset:
            self._dataset, self._values = dataset, {}
        ends = tuple((len(a), float(a[0]), float(a[-1])) for a in grid.axes)
        key = (ends, like.dtype, tuple(like.shape[1:]))
        if key not in self._values:
            while len(self._values) >= GRIDS:
                del self._values[next(iter(self._values))]
            self._values[key] = evaluate(log_prob, grid.chunks(like.cpu()))
        return self._values[key]
