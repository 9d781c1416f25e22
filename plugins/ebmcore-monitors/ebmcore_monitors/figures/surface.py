"""The energy over a plane, as filled contours whose levels show the wells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.likelihood.labels import over_labels
from ebmcore_monitors.points.chunks import evaluate, split
from ebmcore_monitors.points.grid import Grid, grid_over
from ebmcore_monitors.points.subset import subset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet

LEVELS = 24
QUANTILE = 0.99
JUDGED = 5_000  # points of data, at most, whose energies determine the highest level


class Surface(NamedTuple):
    """Energies on a grid, and the range of them to plot."""

    grid: Grid
    energy: Tensor  # (points along x₁, points along x₂), nats
    low: float  # nats
    high: float  # nats


def surface(view: RunView, box: Tensor, points: int, clip: float) -> Surface:
    """Evaluate the energy over a box, (2, 2).

    An energy grows without bound away from the data, so levels spread over its whole range would
    hide the wells. They end `clip` nats above the 99 % quantile of the data's energies. An energy
    that requires labels is summed over them, as `over_labels` does. The monitors of one step
    evaluate a box once. Raises ValueError when the energy is finite nowhere in the box, or not at
    the data.
    """
    grid = grid_over(box, points)
    key = ("ebmcore_monitors", "surface", points, *box.flatten().tolist())
    energy, of_most = view.once(key, lambda own: _evaluated(own, box, grid))
    finite = energy[energy.isfinite()]
    high = of_most + clip
    if not len(finite) or not torch.tensor(high).isfinite():
        raise ValueError("the energy is not finite, so its landscape can't be plotted")
    low = float(finite.min())
    return Surface(grid, energy, low, max(high, low + clip))


def _evaluated(view: RunView, box: Tensor, grid: Grid) -> tuple[Tensor, float]:
    """Return the energies on a grid over a box, and the 99 % quantile of the data's."""
    view = over_labels(view, box, grid.shape[0] | 1)
    energy = evaluate(view.energy, grid.chunks(view.data)).reshape(grid.shape)
    of_data = evaluate(view.energy, split(subset(view.data, JUDGED, view.generator)))
    return energy, float(torch.quantile(of_data, QUANTILE))


def plot_surface(axes: Axes, landscape: Surface) -> QuadContourSet:
    """Plot filled contours: the darker, the lower the energy; one colour above the last level."""
    levels = torch.linspace(landscape.low, landscape.high, LEVELS + 1).tolist()
    # +inf would leave holes; twice the plotted range is above the last level too
    values = landscape.energy.clamp(max=2 * landscape.high - landscape.low).T.numpy()
    along, up = (axis.numpy() for axis in landscape.grid.axes)
    filled = axes.contourf(along, up, values, levels, cmap="Blues_r", extend="max")
    axes.contour(along, up, values, levels[::4], colors="#08306b", linewidths=0.3, alpha=0.5)
    return filled


def add_scale(axes: Axes, filled: QuadContourSet) -> None:
    """Add a colour bar of filled contours beside their axes, with ticks at round numbers."""
    from matplotlib.ticker import MaxNLocator

    low, *_, high = (float(level) for level in filled.levels)
    # matplotlib would place a tick beyond the levels at their end, with a wrong number
    ticks = [tick for tick in MaxNLocator(8).tick_values(low, high) if low <= tick <= high]
    figure = axes.get_figure(root=False)
    if figure is not None:
        figure.colorbar(filled, ax=axes, label="energy (nats)", ticks=ticks)
