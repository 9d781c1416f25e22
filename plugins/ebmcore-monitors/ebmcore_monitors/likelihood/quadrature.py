"""log Z of an energy by the product trapezoid rule, on a box widened until it holds the mass.

    Z = ∫ exp(-E(x)) dx ≈ Σ w exp(-E(x)),  w = Π h over the axes, halved at each end of one

On an even grid the rule converges faster than any power of h for a smooth density that is
negligible at the ends of the box. The share of the mass at the ends (`leak`) checks the latter. How
far the estimates from every second and every fourth point of each axis, one for each point to start
from, are spread tells the error; where it is large, or a well lies between the grid's points or
outside the box, the integral is refined.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore_monitors.likelihood.grid_error import at_ends, beyond, spread
from ebmcore_monitors.likelihood.refinement import refine
from ebmcore_monitors.points.chunks import evaluate
from ebmcore_monitors.points.grid import Grid, grid_over

LEAK = 1e-6  # share of the mass at the ends of the box that is negligible
WIDENINGS = 2  # how often the box is doubled, at most
FALL = 10.0  # how many times lower the leak must be for a doubling that doesn't end it
COARSE = 41  # points per dimension of the grids that tell whether a doubling is useful
LARGEST = 2**23  # points of a grid, at most
TOLERANCE = 1e-3  # nats of error without a warning; a grid with more of it is refined
ROUNDING = 1e-9  # nats of the sum's own
LARGEST_ERROR = 1 - 1e-9  # share of Z: 21 nats

Function = Callable[[Tensor], Tensor]


class Quadrature(NamedTuple):
    """An energy, and the data's density if it is known, on a grid with weights."""

    grid: Grid
    energy: Tensor  # (size,), float64, nats
    log_p: Tensor | None  # (size,), float64, nats per unit of volume
    log_weight: Tensor  # (size,), float64
    log_z: float  # nats
    error: float  # share of Z by which it may be off
    rounding: float  # nats by which the lowest energy may be off
    leak: float  # share of the model's mass in the outermost points
    beyond: float  # share of it that may lie beyond them
    doubts: tuple[str, ...] = ()  # why it may be off by more

    @property
    def log_z_error(self) -> float:
        """By how many nats log_z may be off; of the integral over the box where mass leaks out."""
        return -math.log1p(-min(self.error, LARGEST_ERROR)) + 8 * self.rounding + ROUNDING

    @property
    def log_q(self) -> Tensor:
        """The model's log density at each point of the grid."""
        return -self.energy - self.log_z

    @property
    def mass(self) -> float | None:
        """The integral of the data's density, 1 on a grid that resolves it."""
        if self.log_p is None:
            return None
        return float((self.log_p + self.log_weight).exp().sum())

    @property
    def may_miss(self) -> str:
        """How mass of the model may be missing, for a message."""
        return "the grid misses mass of the model, "

    @property
    def must_widen(self) -> bool:
        """Whether model or data have mass at the ends of the box."""
        log_p = self.log_p
        if log_p is None or self.leak > LEAK:
            return self.leak > LEAK
        of_data = torch.softmax(log_p + self.log_weight, 0).reshape(self.grid.shape)
        return at_ends(of_data) > LEAK

    def expectation(self, value: Tensor) -> float:
        """Return ∫ p(x) value(x) dx, p the data's density; the value is ignored where p is 0."""
        if self.log_p is None:
            raise ValueError("an expectation under the data needs the data's log_prob")
        p = (self.log_p + self.log_weight).exp()
        return float(torch.where(p > 0, p * value, 0.0).sum())


def integrate(
    energy: Function,
    density: Callable[[Grid], Tensor | None],
    like: Tensor,
    box: Tensor,
    points: int,
    known: Tensor | None = None,
) -> Quadrature:
    """Evaluate on a grid over the box, (2, dimensions), doubled at the same spacing if needed.

    Shapes: like (n, *event), of the dtype, device and event shape that the energy takes. `density`
    returns the data's log p on a grid, (size,), or None where it is not known. `points` is per
    dimension and odd. `known`, (k, *event), are points where the model may have mass.
    """
    grid, *wider = _grids(box, points)
    quadrature = _integrate_once(energy, density, like, grid)
    while wider and quadrature.must_widen:
        doublings = _useful_doublings(energy, like, quadrature, wider)
        if not doublings:
            break
        grid, *wider = wider[doublings - 1 :]
        quadrature = _integrate_once(energy, density, like, grid)
    if not math.isfinite(quadrature.log_z):
        return quadrature
    x = like[:0] if known is None else known
    found = refine(
        energy,
        like,
        quadrature.grid,
        quadrature.energy,
        quadrature.log_weight - quadrature.energy,
        quadrature.error,
        x.flatten(1).cpu().double(),
        TOLERANCE,
    )
    beyond = quadrature.beyond if quadrature.leak <= LEAK else 0.0
    return quadrature._replace(log_z=found.log_z, error=found.error + beyond, doubts=found.doubts)


def _grids(box: Tensor, points: int) -> list[Grid]:
    """Return the grid over a box, and those over the doubled boxes, at the same spacing."""
    grids = [grid_over(box, points)]
    for _ in range(WIDENINGS):
        points = 2 * points - 1
        if points ** box.shape[1] > LARGEST:
            break
        half = (box[1] - box[0]) / 2
        box = torch.stack([box[0] - half, box[1] + half])
        grids.append(grid_over(box, points))
    return grids


def _useful_doublings(
    energy: Function, like: Tensor, narrow: Quadrature, wider: Sequence[Grid]
) -> int:
    """Return how often to double: as often as ends the leak, or while each lowers it tenfold.

    The leaks are estimated on coarse grids. An energy that doesn't rise leaks out of any box.
    """
    if narrow.leak <= LEAK:  # the data's mass leaks alone
        return 1
    leaks = [narrow.leak]
    for grid in wider:
        leaks.append(_estimated_leak(energy, like, grid, narrow.log_z))
        if leaks[-1] <= LEAK:
            return len(leaks) - 1
    falls = [after <= before / FALL for before, after in itertools.pairwise(leaks)]
    return [*falls, False].index(False)


def _estimated_leak(energy: Function, like: Tensor, grid: Grid, log_z: float) -> float:
    """Return the leak of a grid from a coarse one; log_z, of a part of the box, bounds its Z."""
    low, high = grid.ends
    coarse = grid_over(torch.stack([low, high]), min(COARSE, grid.shape[0]))
    values = evaluate(energy, coarse.chunks(like))
    log_mass = _log_weights(coarse.shape, coarse.spacings) - values
    share = (log_mass - max(log_z, float(torch.logsumexp(log_mass, 0)))).exp()
    share = share.reshape(coarse.shape)
    at_end = float(share.sum() - share[(slice(1, -1),) * share.ndim].sum())
    return at_end * grid.spacings[0] / coarse.spacings[0]  # outer points stand for less


def _integrate_once(
    energy: Function, density: Callable[[Grid], Tensor | None], like: Tensor, grid: Grid
) -> Quadrature:
    values = evaluate(energy, grid.chunks(like))
    log_p = density(grid)
    log_weight = _log_weights(grid.shape, grid.spacings)
    log_mass = log_weight - values
    share = torch.softmax(log_mass, 0).reshape(grid.shape)
    return Quadrature(
        grid=grid,
        energy=values,
        log_p=log_p,
        log_weight=log_weight,
        log_z=float(torch.logsumexp(log_mass, 0)),
        error=spread(share),
        rounding=torch.finfo(like.dtype).eps * max(1.0, float(values.min().abs())),
        leak=at_ends(share),
        beyond=beyond(share),
    )


def _log_weights(shape: tuple[int, ...], spacings: tuple[float, ...]) -> Tensor:
    weight = torch.zeros((), dtype=torch.float64)
    for points, spacing in zip(shape, spacings, strict=True):
        axis = torch.full((points,), math.log(spacing), dtype=torch.float64)
        axis[[0, -1]] -= math.log(2)
        weight = weight[..., None] + axis
    return weight.flatten()
