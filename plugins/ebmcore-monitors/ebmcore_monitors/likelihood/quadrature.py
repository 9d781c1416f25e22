"""log Z of an energy by the product trapezoid rule, on a box widened until it holds the mass.

    Z = ∫ exp(-E(x)) dx ≈ Σ w exp(-E(x)),  w = Π h over the axes, halved at each end of one

On an even grid the rule converges faster than any power of h for a smooth density that is
negligible at the ends of the box. Two checks hold for that: the share of the mass at the ends
(`leak`), and log Z from every second point of each axis (`coarse_log_z`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore_monitors.points.chunks import evaluate
from ebmcore_monitors.points.grid import Grid, grid_over

LEAK = 1e-6  # share of the mass at the ends of the box that is negligible
WIDENINGS = 2  # how often the box is doubled, at most
LARGEST = 2**23  # points of a grid, at most

Function = Callable[[Tensor], Tensor]


class Quadrature(NamedTuple):
    """An energy, and the data's density if it is known, on a grid with weights."""

    grid: Grid
    energy: Tensor  # (size,), float64, nats
    log_p: Tensor | None  # (size,), float64, nats per unit of volume
    log_weight: Tensor  # (size,), float64
    log_z: float  # nats
    coarse_log_z: float  # nats, from every second point of each axis
    leak: float  # share of the model's mass in the outermost points

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
        of_data = 0.0 if log_p is None else share_at_ends(log_p + self.log_weight, self.grid.shape)
        return self.leak > LEAK or of_data > LEAK

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
) -> Quadrature:
    """Evaluate on a grid over the box, (2, dimensions), doubled at the same spacing if needed.

    Shapes: like (n, *event), of the dtype, device and event shape that the energy takes. `density`
    returns the data's log p on a grid, (size,), or None where it is not known. `points` is per
    dimension and odd.
    """
    for _ in range(WIDENINGS):
        quadrature = _integrate_once(energy, density, like, grid_over(box, points))
        wider = 2 * points - 1
        if not quadrature.must_widen or wider ** box.shape[1] > LARGEST:
            return quadrature
        quarter = (box[1] - box[0]) / 2
        box, points = torch.stack([box[0] - quarter, box[1] + quarter]), wider
    return _integrate_once(energy, density, like, grid_over(box, points))


def _integrate_once(
    energy: Function, density: Callable[[Grid], Tensor | None], like: Tensor, grid: Grid
) -> Quadrature:
    values = evaluate(energy, grid.chunks(like))
    log_p = density(grid)
    log_weight = _log_weights(grid.shape, grid.spacings)
    log_mass = log_weight - values
    log_z = torch.logsumexp(log_mass, 0)
    every_second = (slice(None, None, 2),) * len(grid.shape)
    coarse = values.reshape(grid.shape)[every_second]
    coarse_weight = _log_weights(tuple(coarse.shape), tuple(2 * h for h in grid.spacings))
    return Quadrature(
        grid=grid,
        energy=values,
        log_p=log_p,
        log_weight=log_weight,
        log_z=float(log_z),
        coarse_log_z=float(torch.logsumexp(coarse_weight - coarse.flatten(), 0)),
        leak=share_at_ends(log_mass, grid.shape),
    )


def share_at_ends(log_mass: Tensor, shape: tuple[int, ...]) -> float:
    """Return the share of the mass in the outermost points, NaN when the mass is not finite.

    Shapes: log_mass (size of the grid,); the whole need not be 1.
    """
    mass = torch.softmax(log_mass, 0)
    inner = mass.reshape(shape)[(slice(1, -1),) * len(shape)]
    return (1.0 - inner.sum()).clamp(min=0.0).item()


def _log_weights(shape: tuple[int, ...], spacings: tuple[float, ...]) -> Tensor:
    weight = torch.zeros((), dtype=torch.float64)
    for points, spacing in zip(shape, spacings, strict=True):
        axis = torch.full((points,), math.log(spacing), dtype=torch.float64)
        axis[[0, -1]] -= math.log(2)
        weight = weight[..., None] + axis
    return weight.flatten()
