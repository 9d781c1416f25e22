"""An unnormalised density on a line: its integral, and its quantiles by a table of the CDF."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

_HALVINGS = 45  # of a cell: the rounding of the samples is larger


class Table(NamedTuple):
    """A density on cells of equal width, in float64, divided by its largest value there."""

    edges: Tensor  # (cells + 1,)
    density: Tensor  # (cells + 1,), at the edges
    cumulative: Tensor  # (cells + 1,), its integral from the first edge, by Simpson's rule
    log_peak: float  # nats, of the largest value

    def log_integral(self) -> float:
        """Return the log of the integral, by the trapezoidal rule.

        For a smooth density that is 0 at both ends to rounding, the rule's error falls
        exponentially in the number of cells: see Trefethen and Weideman 2014, "The exponentially
        convergent trapezoidal rule".
        """
        width = self.edges[1] - self.edges[0]
        return float((self.density.sum() * width).log()) + self.log_peak

    def quantile(self, u: Tensor) -> Tensor:
        """Return where the CDF is u, elementwise, for u in [0, 1).

        Within a cell the CDF is the cubic that has its values and its slopes, the density, at both
        edges; the error of the CDF falls with the fourth power of the cells' width.
        """
        width = self.edges[1] - self.edges[0]
        aim = u * self.cumulative[-1]
        cell = torch.searchsorted(self.cumulative, aim.contiguous(), right=True) - 1
        cell = cell.clamp(0, len(self.edges) - 2)
        begin, end = self.cumulative[cell], self.cumulative[cell + 1]
        slope, last = width * self.density[cell], width * self.density[cell + 1]
        square = 3 * (end - begin) - 2 * slope - last
        cube = slope + last - 2 * (end - begin)
        low, high = torch.zeros_like(aim), torch.ones_like(aim)
        for _ in range(_HALVINGS):
            t = (low + high) / 2
            below = begin + t * (slope + t * (square + t * cube)) < aim
            low, high = torch.where(below, t, low), torch.where(below, high, t)
        return self.edges[cell] + width * (low + high) / 2


def tabulate(
    log_density: Callable[[Tensor], Tensor],
    low: float,
    high: float,
    cells: int,
    device: torch.device | str = "cpu",
) -> Table:
    """Tabulate a density on [low, high], outside of which it should be negligible."""
    fine = torch.linspace(low, high, 2 * cells + 1, dtype=torch.float64, device=device)
    logs = log_density(fine)
    log_peak = float(logs.max())
    density = (logs - log_peak).exp()
    edges, middle = density[::2], density[1::2]
    width = (high - low) / cells
    parts = width / 6 * (edges[:-1] + 4 * middle + edges[1:])
    cumulative = torch.cat([parts.new_zeros(1), parts.cumsum(0)])
    return Table(fine[::2], edges, cumulative, log_peak)


def cells_for(low: float, high: float, scale: float) -> int:
    """Return how many cells resolve a density whose narrowest peak has this standard deviation."""
    return math.ceil(40 * (high - low) / scale)
