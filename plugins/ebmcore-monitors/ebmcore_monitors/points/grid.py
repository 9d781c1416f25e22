"""Evenly spaced grids over a box, and the box around some points."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore_monitors.points.chunks import chunk_for


class Grid(NamedTuple):
    """The product of evenly spaced axes."""

    axes: tuple[Tensor, ...]  # one for each dimension, (points,), float64, on the CPU

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of points in each dimension."""
        return tuple(len(axis) for axis in self.axes)

    @property
    def spacings(self) -> tuple[float, ...]:
        """The distance of neighbours in each dimension."""
        return tuple(float(axis[1] - axis[0]) for axis in self.axes)

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """The lowest and the highest corner, (d,) each."""
        return torch.stack([a[0] for a in self.axes]), torch.stack([a[-1] for a in self.axes])

    @property
    def size(self) -> int:
        """The number of points in all."""
        return torch.Size(self.shape).numel()

    def chunks(self, like: Tensor) -> Iterator[Tensor]:
        """Yield the points, the last axis fastest, as events of the shape and kind of `like`.

        Shapes: like (n, *event), its event of as many numbers as there are axes -> (chunk, *event).
        """
        first, *others = self.axes
        rows = max(1, chunk_for(like) * len(first) // self.size)
        for slab in torch.split(first, rows):
            points = torch.cartesian_prod(slab, *others).to(like.dtype).to(like.device)
            yield points.reshape(-1, *like.shape[1:])


def grid_over(box: Tensor, points: int) -> Grid:
    """Make a grid of `points` along each dimension of a box, (2, dimensions), its ends included."""
    low, high = box.double().cpu()
    return Grid(
        tuple(
            torch.linspace(float(a), float(b), points, dtype=torch.float64)
            for a, b in zip(low, high, strict=True)
        )
    )


def box_around(x: Tensor, margin: float) -> Tensor:
    """Return the lowest and highest corner of x with a share `margin` of its range on each side.

    Shapes: x (n, *event) -> (2, dimensions of the event), float64, on the CPU. A dimension in which
    x never varies counts as one unit wide.
    """
    flat = x.flatten(1).double().cpu()
    low, high = flat.amin(0), flat.amax(0)
    width = torch.where(high > low, high - low, 1.0)
    return torch.stack([low - margin * width, high + margin * width])
