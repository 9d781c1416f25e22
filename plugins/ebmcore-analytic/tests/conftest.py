"""Quadrature over boxes: what log Z, moments and draws are held against."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor


class Law(NamedTuple):
    """exp(-E) on a grid, by the trapezoidal rule in float64."""

    x: Tensor  # (points, d)
    shares: Tensor  # (points,), their probabilities
    log_z: float  # nats

    def mean(self, values: Tensor) -> float:
        return float(self.shares @ values)

    def distance(self, values: Tensor, drawn: Tensor) -> float:
        """Kolmogorov-Smirnov: the largest difference of the CDFs of values here and of draws."""
        points, which = values.unique(return_inverse=True)
        masses = torch.zeros_like(points).index_add_(0, which, self.shares)
        cdf = masses.cumsum(0) - masses / 2  # at a point; between two of them linear
        drawn = drawn.double().sort().values
        right = torch.searchsorted(points, drawn).clamp(1, len(points) - 1)
        share = (drawn - points[right - 1]) / (points[right] - points[right - 1])
        theirs = torch.lerp(cdf[right - 1], cdf[right], share.clamp(0, 1))
        steps = torch.arange(len(drawn) + 1, dtype=torch.float64) / len(drawn)
        return float(torch.maximum((theirs - steps[:-1]).abs(), (theirs - steps[1:]).abs()).max())


def law(energy, *sides, warp=None) -> Law:
    """Integrate over a box of sides (low, high, points); `warp` gives x and log |dx/dt| of t."""
    axes = [torch.linspace(low, high, n, dtype=torch.float64) for low, high, n in sides]
    t = torch.cartesian_prod(*axes).reshape(-1, len(axes))
    x, log_volume = (t, torch.zeros(len(t), dtype=torch.float64)) if warp is None else warp(t)
    for i, (low, high, _) in enumerate(sides):  # the rule counts both ends half
        log_volume = log_volume + ((t[:, i] == low) | (t[:, i] == high)) * math.log(0.5)
    with torch.no_grad():
        logs = log_volume - energy(x)
    log_cell = sum(math.log((high - low) / (n - 1)) for low, high, n in sides)
    total = float(logs.logsumexp(0))
    return Law(x, (logs - total).exp(), total + log_cell)


@pytest.fixture
def integrate():
    return law
