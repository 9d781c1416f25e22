"""Wells of an energy: where they are, how wide, and where boxes must be short to see them.

From a point that gives one away a pattern search goes down, without derivatives: to the lowest of
the neighbours along the axes, in steps that double while it succeeds and halve where it fails.

Source: Hooke and Jeeves, "Direct search" solution of numerical and statistical problems, J. ACM 8,
1961 (pattern search).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore_monitors.likelihood.cubature import Sites
from ebmcore_monitors.likelihood.hints import Hints
from ebmcore_monitors.points.chunks import evaluate_at

ROUNDS = 80  # steps of a search, at most
FAR = 1024.0  # half boxes from the centre to where a search ends
SCALES = 32  # halvings of a box's side, the widths that a well may have
ALONG = tuple(k / 2 for k in range(1, 9))  # standard deviations along a well's long axes
WIDTHS = 4.0  # the longest side of a box at a well, and how far around it
FLATTEST = 1e-4  # curvature of a well, in its widths, below which it counts as this

Function = Callable[[Tensor], Tensor]


class Wells(NamedTuple):
    """Minima of an energy."""

    x: Tensor  # (k, d), float64
    energy: Tensor  # (k,), nats
    width: Tensor  # (k, d): how far along an axis the energy changes by half a nat

    @property
    def log_mass(self) -> Tensor:
        """The mass of a Gaussian of these widths, (k,), nats; a tilted well has more."""
        return -self.energy + (self.width * math.sqrt(2 * math.pi)).log().sum(1)

    def rows(self, which: Tensor) -> Wells:
        """Take some of them, by number or mask."""
        return Wells(*(part[which] for part in self))

    def joined(self, others: Wells) -> Wells:
        """Add others behind them."""
        return Wells(*map(torch.cat, zip(self, others, strict=True)))


def find_wells(energy: Function, like: Tensor, start: Hints, low: Tensor, high: Tensor) -> Wells:
    """Search for wells from points; each well is found once.

    Shapes: low, high (d,), the corners of the box. A search ends `FAR` half boxes from its centre.
    """
    if not len(start.x):
        return Wells(start.x, start.x[:, 0], start.x)
    centre, half = (low + high) / 2, (high - low) / 2
    x, e = _descend(energy, like, start, centre - FAR * half, centre + FAR * half)
    order = e.argsort()
    x, e = x[order], e[order]
    wells = Wells(x, e, _widths(energy, like, x, e, 2 * half))
    near = ((x[:, None] - x).abs() <= 2 * wells.width).all(2)  # of each to all
    return wells.rows(~near.tril(-1).any(1) & e.isfinite())


def is_far(wells: Wells, low: Tensor, high: Tensor) -> Tensor:
    """Return which wells are none: the search went down until it ended, (k,)."""
    centre, half = (low + high) / 2, (high - low) / 2
    return ((wells.x - centre).abs() >= 0.99 * FAR * half).any(1)


def sites_of(energy: Function, like: Tensor, wells: Wells) -> Sites:
    """Return where boxes must be short to see wells: at each, and along its long axes."""
    k, d = wells.x.shape
    if k == 0:
        return Sites(wells.x, wells.x, wells.x)
    unit = torch.eye(d, dtype=torch.float64)
    pairs = [(i, j) for i, j in itertools.product(range(d), repeat=2) if i < j]
    moves = [s * unit[i] for i in range(d) for s in (1, -1)]
    moves += [s * unit[i] + t * unit[j] for i, j in pairs for s in (1, -1) for t in (1, -1)]
    x = wells.x[:, None] + wells.width[:, None] * torch.stack([*moves, 0 * unit[0]])
    e = evaluate_at(energy, x.flatten(0, 1), like).reshape(k, -1)
    e = torch.nan_to_num(e - e[:, -1:], nan=1e6, posinf=1e6)
    curvature = torch.zeros(k, d, d, dtype=torch.float64)
    for i in range(d):
        curvature[:, i, i] = e[:, 2 * i] + e[:, 2 * i + 1]
    for number, (i, j) in enumerate(pairs):
        both = e[:, 2 * d + 4 * number : 2 * d + 4 * number + 4]
        mixed = (both[:, 0] - both[:, 1] - both[:, 2] + both[:, 3]) / 4
        curvature[:, i, j] = curvature[:, j, i] = mixed
    values, vectors = torch.linalg.eigh(curvature)
    sd = values.clamp(min=FLATTEST).rsqrt()
    along = torch.tensor([s * t for t in ALONG for s in (1, -1)], dtype=torch.float64)
    axes = (sd[:, None] * vectors).mT  # (k, axes, d), in widths
    offset = (along[:, None, None] * axes[:, None]).reshape(k, -1, d)
    beyond = offset.abs().amax(2) > WIDTHS
    width = wells.width[:, None].expand_as(offset)[beyond]
    more = (wells.x[:, None] + wells.width[:, None] * offset)[beyond]
    return Sites(
        torch.cat([wells.x, more]),
        torch.cat([WIDTHS * wells.width, WIDTHS / 2 * width]),
        WIDTHS * torch.cat([wells.width, width]),
    )


def _descend(
    energy: Function, like: Tensor, start: Hints, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    x, step = start.x.clamp(low, high), start.step
    k, d = x.shape
    e = evaluate_at(energy, x, like)
    moves = torch.cat([torch.eye(d, dtype=torch.float64), -torch.eye(d, dtype=torch.float64)])
    for _ in range(ROUNDS):
        tried = (x[:, None] + step[:, None] * moves).clamp(low, high)
        values = evaluate_at(energy, tried.flatten(0, 1), like).reshape(k, -1)
        best, at = values.nan_to_num(nan=torch.inf).min(1)
        better = best < e
        x = torch.where(better[:, None], tried[torch.arange(k), at], x)
        e = torch.where(better, best, e)
        step = torch.where(better[:, None], 2 * step, step / 2)
        if bool((step < 2.0**-SCALES * (high - low)).all()):
            break
    return x, e


def _widths(energy: Function, like: Tensor, x: Tensor, e: Tensor, side: Tensor) -> Tensor:
    d = x.shape[1]
    radius = side * 2.0 ** -torch.arange(SCALES, dtype=torch.float64)[:, None]  # (scales, d)
    moved = radius[:, :, None] * torch.eye(d, dtype=torch.float64)  # (scales, d, d)
    moved = torch.stack([moved, -moved])
    points = x[:, None, None, None] + moved
    change = evaluate_at(energy, points.flatten(0, 3), like).reshape(points.shape[:-1])
    changed = ((change - e[:, None, None, None]).abs() >= 0.5).any(1)  # (k, scales, d)
    smallest = torch.where(changed, radius, torch.inf).amin(1)
    return torch.minimum(smallest, side)
