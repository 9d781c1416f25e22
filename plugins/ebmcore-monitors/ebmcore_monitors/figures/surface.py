"""The energy over a plane, and the range of it that shows the wells."""

from __future__ import annotations

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.figures.planes import Contours
from ebmcore_monitors.likelihood.labels import over_labels
from ebmcore_monitors.points.chunks import evaluate, split
from ebmcore_monitors.points.grid import Grid, grid_over
from ebmcore_monitors.points.subset import subset

QUANTILE = 0.99
JUDGED = 5_000  # points of data, at most, whose energies determine the highest level


def surface(view: RunView, box: Tensor, points: int, clip: float) -> Contours:
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
    along, up = (axis.numpy() for axis in grid.axes)
    return Contours(along, up, energy.T.numpy(), low, max(high, low + clip))


def _evaluated(view: RunView, box: Tensor, grid: Grid) -> tuple[Tensor, float]:
    """Return the energies on a grid over a box, and the 99 % quantile of the data's."""
    view = over_labels(view, box, grid.shape[0] | 1)
    energy = evaluate(view.energy, grid.chunks(view.data)).reshape(grid.shape)
    of_data = evaluate(view.energy, split(subset(view.data, JUDGED, view.generator)))
    return energy, float(torch.quantile(of_data, QUANTILE))
