"""Adaptive cubature over disjoint boxes: halves those of the largest errors until all are small.

Each box gets the product of 7-point Kronrod rules; the error along an axis is how far the sum moves
when the 4-point Lobatto rule replaces the Kronrod rule on it, or a quarter of that with the rule of
the three other points, which catches what both agree on by chance. A box is halved along its worst.
Both rules have points at the ends of an axis, so a jump there escapes no box. Everything is in
logarithms, so an energy's constant doesn't matter.

Source: Gander and Gautschi, Adaptive quadrature - revisited, BIT 40, 2000 (the rules); Genz and
Malik, An adaptive algorithm for numerical integration over an N-dimensional rectangular region, J.
Comput. Appl. Math. 6, 1980 (halving the worst axis of the worst boxes).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore_monitors.points.chunks import evaluate_at

NODES = (1.0, math.sqrt(2 / 3), math.sqrt(1 / 5))  # and 0, and their negatives
KRONROD = (77 / 1470, 432 / 1470, 625 / 1470, 672 / 1470)
LOBATTO = (1 / 6, 0.0, 5 / 6, 0.0)  # of the same nodes; each sums to 2, the length of [-1, 1]
OTHERS = (0.0, 1 / 2, 0.0, 1.0)  # of the nodes that Lobatto's rule leaves out
SHARE = 1 / 4  # of the distance of this rule, less exact, that counts as the error
SAFETY = 2.0  # times the sum of the boxes' errors
OVERLOOKED = 0.5  # nats by which a known point may lie below the energies at a box's points
SMALLEST = 2**8  # spacings of floating-point numbers, the shortest side of a box that is halved


class Boxes(NamedTuple):
    """Boxes side by side."""

    low: Tensor  # (n, d), float64
    high: Tensor  # (n, d), float64

    def halved(self, axis: Tensor) -> Boxes:
        """Halve each box along its axis, (n,)."""
        along = torch.nn.functional.one_hot(axis, self.low.shape[1]).bool()
        middle = (self.low + self.high) / 2
        return Boxes(
            torch.cat([self.low, torch.where(along, middle, self.low)]),
            torch.cat([torch.where(along, middle, self.high), self.high]),
        )

    def rows(self, which: Tensor) -> Boxes:
        """Take some of them, by number or mask."""
        return Boxes(self.low[which], self.high[which])

    def joined(self, others: Boxes) -> Boxes:
        """Add others behind them."""
        return Boxes(torch.cat([self.low, others.low]), torch.cat([self.high, others.high]))


class Sites(NamedTuple):
    """Places where boxes must be short: on what lies within `reach` of a centre."""

    centre: Tensor  # (k, d), float64
    reach: Tensor  # (k, d)
    side: Tensor  # (k, d), the longest side of a box there


class Known(NamedTuple):
    """Points where the energy is known: a box must not overlook them."""

    x: Tensor  # (k, d), float64
    log_f: Tensor  # (k,), -E there, nats


class Integral(NamedTuple):
    """log ∫ exp(-E(x)) dx over boxes."""

    log_z: float  # nats
    error: float  # share of the integral by which it may be off
    reaches_sites: bool  # whether boxes are as short at all sites as they say


class _Sums(NamedTuple):
    """Estimates of each box."""

    log_value: Tensor  # (n,), nats
    log_error: Tensor  # (n, d), along each axis, nats

    def rows(self, which: Tensor) -> _Sums:
        return _Sums(self.log_value[which], self.log_error[which])

    def joined(self, others: _Sums) -> _Sums:
        return _Sums(*map(torch.cat, zip(self, others, strict=True)))


def cubature(
    energy: Callable[[Tensor], Tensor],
    like: Tensor,
    boxes: Boxes,
    sites: Sites,
    known: Known,
    tolerance: float,
    budget: int,
) -> Integral:
    """Integrate exp(-E) over boxes, to a share `tolerance` of the whole or `budget` evaluations.

    A box whose points all lie `OVERLOOKED` nats above a known point in it may be off by as much as
    the density there all over it. Shapes: like (n, *event), of the dtype, device and event shape
    that the energy takes.
    """
    dimensions = boxes.low.shape[1]
    points, weights = _rule(dimensions)
    budget //= len(points)
    tolerance /= SAFETY

    def evaluated(boxes: Boxes) -> _Sums:
        return _sums(energy, like, boxes, known, points, weights)

    boxes, reaches_sites = around_sites(boxes, sites, len(boxes.low) + budget // 2)
    sums = evaluated(boxes)
    budget -= len(boxes.low)
    while True:
        log_z = torch.logsumexp(sums.log_value, 0)
        errors = (sums.log_error - log_z).exp().nan_to_num(nan=torch.inf)
        whole = errors.sum(1)
        if not log_z.isfinite() or float(whole.sum()) <= tolerance or budget < 2:
            break
        by_size = whole.argsort()
        small = whole[by_size].cumsum(0) <= tolerance / 2
        worst = by_size[~small].flip(0)
        worst = worst[_can_halve(boxes.rows(worst), errors[worst], like)][: budget // 2]
        if not len(worst):
            break
        kept = torch.ones(len(whole), dtype=torch.bool)
        kept[worst] = False
        new = boxes.rows(worst).halved(errors[worst].argmax(1))
        of_new = evaluated(new)
        budget -= len(new.low)
        boxes = boxes.rows(kept).joined(new)
        sums = sums.rows(kept).joined(of_new)
    return Integral(float(log_z), SAFETY * float(whole.sum()), reaches_sites)


def around_sites(boxes: Boxes, sites: Sites, most: int) -> tuple[Boxes, bool]:
    """Halve boxes until those on a site are as short as it says; tell whether `most` sufficed."""
    settled = boxes.rows(torch.zeros(len(boxes.low), dtype=torch.bool))
    while True:
        ratio = _times_too_long(boxes, sites)
        long = ratio.amax(1) > 1
        settled, boxes = settled.joined(boxes.rows(~long)), boxes.rows(long)
        if not len(boxes.low) or len(settled.low) + 2 * len(boxes.low) > most:
            return settled.joined(boxes), not len(boxes.low)
        boxes = boxes.halved(ratio[long].argmax(1))


def touch(boxes: Boxes, sites: Sites) -> Tensor:
    """Return which boxes lie within the reach of a site, (n,)."""
    near = [_near(boxes, part).any(1) for part in _parts(sites)]
    return torch.stack(near).any(0)


def _near(boxes: Boxes, sites: Sites) -> Tensor:
    low, high = sites.centre - sites.reach, sites.centre + sites.reach
    return ((boxes.low[:, None] <= high) & (boxes.high[:, None] >= low)).all(2)


def _parts(sites: Sites) -> list[Sites]:
    return [Sites(*part) for part in zip(*(torch.split(s, 64) for s in sites), strict=True)]


def _times_too_long(boxes: Boxes, sites: Sites) -> Tensor:
    """Return how many times longer than allowed each side is, (n, d); 0 away from the sites."""
    ratio = torch.zeros_like(boxes.low)
    if not len(sites.centre):
        return ratio
    for part in _parts(sites):
        times = (boxes.high - boxes.low)[:, None] / part.side
        near = _near(boxes, part)[:, :, None]
        ratio = torch.maximum(ratio, torch.where(near, times, 0.0).amax(1))
    return ratio


def _can_halve(boxes: Boxes, errors: Tensor, like: Tensor) -> Tensor:
    """Return whether points inside each half still differ in the dtype of `like`, (n,)."""
    row = torch.arange(len(errors))
    axis = errors.argmax(1)
    side = (boxes.high - boxes.low)[row, axis]
    farthest = torch.maximum(boxes.low.abs(), boxes.high.abs())[row, axis]
    return side > SMALLEST * torch.finfo(like.dtype).eps * farthest


def _sums(
    energy: Callable[[Tensor], Tensor],
    like: Tensor,
    boxes: Boxes,
    known: Known,
    points: Tensor,
    weights: Tensor,
) -> _Sums:
    centre, half = (boxes.low + boxes.high) / 2, (boxes.high - boxes.low) / 2
    x = centre[:, None] + half[:, None] * points
    log_f = -evaluate_at(energy, x.flatten(0, 1), like).reshape(x.shape[:2])
    top = log_f.amax(1, keepdim=True)
    f = (log_f - top.nan_to_num(neginf=0.0)).exp()  # all 0 where the energy is infinite
    value, *coarse = (f @ weights).unbind(1)
    moved = torch.stack([(value - other).abs() for other in coarse], 1)
    lobatto, others = moved.tensor_split(2, 1)
    moved = torch.maximum(lobatto, SHARE * others)
    log_scale = top + half.log().sum(1, keepdim=True)
    log_error = log_scale + moved.log()
    highest = _highest_in(boxes, known)
    overlooked = (highest > top[:, 0] + OVERLOOKED).nonzero()[:, 0]
    longest = half[overlooked].argmax(1)
    log_error[overlooked, longest] = (highest + (2 * half).log().sum(1))[overlooked]
    return _Sums(log_scale[:, 0] + value.log(), log_error)


def _highest_in(boxes: Boxes, known: Known) -> Tensor:
    """Return the highest known log density in each box, (n,)."""
    highest = torch.full((len(boxes.low),), -torch.inf, dtype=torch.float64)
    for x, log_f in zip(torch.split(known.x, 256), torch.split(known.log_f, 256), strict=True):
        if len(x):
            inside = ((boxes.low[:, None] <= x) & (boxes.high[:, None] >= x)).all(2)
            highest = torch.maximum(highest, torch.where(inside, log_f, -torch.inf).amax(1))
    return highest


def _rule(dimensions: int) -> tuple[Tensor, Tensor]:
    """Return points of [-1, 1]^d, (m, d), and weights, (m, 1 + 2 d).

    The first weights are Kronrod's on all axes, the others Lobatto's on one of them, then the
    third rule's on one.
    """
    nodes, kronrod, lobatto, others = (
        torch.tensor((*half, last, *half[::-1]), dtype=torch.float64)
        for half, last in (
            (NODES, 0.0),
            (KRONROD[:-1], KRONROD[-1]),
            (LOBATTO[:-1], LOBATTO[-1]),
            (OTHERS[:-1], OTHERS[-1]),
        )
    )
    nodes = nodes * torch.tensor([-1.0] * 4 + [1.0] * 3, dtype=torch.float64)
    points = torch.cartesian_prod(*[nodes] * dimensions).reshape(-1, dimensions)
    columns = []
    for rule, coarse in [(kronrod, 0), *itertools.product((lobatto, others), range(dimensions))]:
        weight = torch.ones((), dtype=torch.float64)
        for axis in range(dimensions):
            weight = weight[..., None] * (rule if axis == coarse else kronrod)
        columns.append(weight.flatten())
    return points, torch.stack(columns, 1)
