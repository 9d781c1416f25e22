"""Points that give away wells of an energy that a grid doesn't see: between its points or outside.

Three do: a known point (of data or chains) whose energy is far below those at the corners of its
cell, a known point outside the box, and a point on a ray away from the box along which the energy
falls again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebmcore_monitors.likelihood.cubature import Known
from ebmcore_monitors.points.chunks import evaluate_at
from ebmcore_monitors.points.grid import Grid

SURPRISE = 0.25  # nats by which a known point lies below its cell's corners, or a ray falls again
MOST = 64  # points of a grid to search from
RADII = 24  # points on a ray, their distances growing evenly in proportion
LONGEST = 16.0  # half boxes along a ray
RAYS = {1: 3, 2: 9, 3: 5}  # evenly spaced points along an edge of the box that rays go through

Function = Callable[[Tensor], Tensor]


class Hints(NamedTuple):
    """Points to search for wells from, those of the lowest energies first."""

    x: Tensor  # (k, d), float64
    step: Tensor  # (k, d), the first step of the search along each axis

    def rows(self, which: Tensor | slice) -> Hints:
        """Take some of them."""
        return Hints(self.x[which], self.step[which])


def hints(
    energy: Function, grid: Grid, on_grid: Tensor, x: Tensor, like: Tensor
) -> tuple[Hints, Known]:
    """Return points to search from, of points x, (n, d), and rays away from a grid; all of x too.

    Shapes: on_grid (size,), the energies there; like (m, *event), as the energy takes them.
    """
    low, high = grid.ends
    half = (high - low) / 2
    rays = (low + high) / 2 + half * _rays(len(half))
    values = evaluate_at(energy, torch.cat([x, rays.flatten(0, 1)]), like)
    known, of_rays = Known(x, -values[: len(x)]), values[len(x) :].reshape(rays.shape[:2])
    known = Known(*(part[known.log_f.isfinite()] for part in known))
    x = known.x

    outside = ((x < low) | (x > high)).any(1)
    inside = ~outside & (-known.log_f < _lowest_corner(grid, on_grid, x) - SURPRISE)
    fall = (of_rays.cummax(1).values - of_rays).nan_to_num(nan=0.0)  # also where both are infinite
    deepest, at = fall.max(1)
    again = deepest > SURPRISE
    row = torch.arange(len(rays))

    spacing = torch.tensor(grid.spacings, dtype=torch.float64)
    begin = torch.cat([x[inside], x[outside], rays[row, at][again]])
    n = int(inside.sum())
    step = torch.cat([(spacing / 4).expand(n, -1), half.expand(len(begin) - n, -1)])
    e = torch.cat([-known.log_f[inside], -known.log_f[outside], of_rays[row, at][again]])
    return Hints(begin, step).rows(e.argsort()), known


def grid_minima(grid: Grid, on_grid: Tensor) -> Hints:
    """Return the lowest points of a grid whose neighbours are no lower."""
    depth = -on_grid.reshape(1, 1, *grid.shape)
    pool = getattr(torch.nn.functional, f"max_pool{len(grid.shape)}d")
    minimal = (depth == pool(depth, 3, stride=1, padding=1)) & depth.isfinite()
    number = minimal.flatten().nonzero()[:, 0]
    number = number[on_grid[number].argsort()[:MOST]]
    index = np.unravel_index(number.numpy(), grid.shape)  # torch's own imports sympy: a second
    x = torch.stack([axis[i] for axis, i in zip(grid.axes, index, strict=True)], 1)
    return Hints(x, torch.tensor(grid.spacings, dtype=torch.float64).expand_as(x) / 4)


def _rays(d: int) -> Tensor:
    """Return points on rays from 0, (rays, radii, d); at radius 1 they leave the cube [-1, 1]^d."""
    edge = torch.linspace(-1, 1, RAYS[d], dtype=torch.float64)
    direction = torch.cartesian_prod(*[edge] * d).reshape(-1, d)
    direction = direction[direction.abs().amax(1) == 1]
    radius = torch.logspace(0, math.log2(LONGEST), RADII, base=2, dtype=torch.float64)
    return direction[:, None] * radius[:, None]


def _lowest_corner(grid: Grid, on_grid: Tensor, x: Tensor) -> Tensor:
    """Return the lowest energy at the corners of the cells that points lie in, (n,)."""
    values, lowest = on_grid.reshape(grid.shape), torch.full((len(x),), torch.inf)
    first = [
        ((x[:, i] - axis[0]) / (axis[1] - axis[0])).long().clamp(0, len(axis) - 2)
        for i, axis in enumerate(grid.axes)
    ]
    for corner in itertools.product((0, 1), repeat=len(first)):
        at = tuple(index + more for index, more in zip(first, corner, strict=True))
        lowest = torch.minimum(lowest, values[at])
    return lowest
