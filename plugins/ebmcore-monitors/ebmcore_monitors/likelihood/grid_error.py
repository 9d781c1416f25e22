"""The error of the trapezoid rule on a grid, from its own points.

Every second point of each axis, and every fourth, is a coarser grid: two and four to an axis, one
for each point to start from. How far their sums are spread tells how well the grid resolves the
density.
"""

from __future__ import annotations

import torch
from torch import Tensor


def spread(share: Tensor) -> float:
    """Return by which share of it Z may be off, from the sums over a part of the points.

    The largest error of the sums over every second point of each axis, or half that over every
    fourth: of either, one for each point to start from. The error of the sum over all points falls
    at least in proportion to the spacing, also where the density jumps.
    """
    weight = torch.ones((), dtype=torch.float64)
    for points in share.shape:
        of_axis = torch.ones(points, dtype=torch.float64)
        of_axis[[0, -1]] /= 2
        weight = weight[..., None] * _every(4, of_axis / of_axis.sum(), 0)
    for axis in range(share.ndim):
        share = _every(4, share, axis)
    errors = [(share / weight - 1).abs().max() / 2]
    for axis in range(share.ndim):
        share, weight = _every(2, share, axis), _every(2, weight, axis)
    errors.append((share / weight - 1).abs().max())
    return float(torch.stack(errors).max())


def _every(step: int, values: Tensor, axis: int) -> Tensor:
    """Add every `step`-th along an axis, for each of as many to start from."""
    values = values.movedim(axis, 0)
    sums = torch.zeros(step, *values.shape[1:], dtype=values.dtype)
    for first in range(step):
        sums[first] = values[first::step].sum(0)
    return sums.movedim(0, axis)


def beyond(share: Tensor) -> float:
    """Return the share of the mass beyond the ends, if it falls on as between the last two points.

    At most as much as if it fell no more over as many spacings as the box has.
    """
    inner = share[(slice(1, -1),) * share.ndim]
    at_end = 2 * (1.0 - float(inner.sum()))  # the weights there are halved
    before = float(inner.sum() - inner[(slice(1, -1),) * share.ndim].sum())
    if not at_end > 0.0:
        return 0.0
    return at_end * min(max(share.shape), 1 / max(1 - at_end / max(before, 1e-300), 1e-9))


def at_ends(share: Tensor) -> float:
    """Return the share of the mass in the outermost points of a grid, NaN when it is not finite."""
    inner = share[(slice(1, -1),) * share.ndim]
    return (1.0 - inner.sum()).clamp(min=0.0).item()
