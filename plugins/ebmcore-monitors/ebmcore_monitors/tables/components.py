"""Data, held-out data and samples in the data's first two principal components.

With each column divided by its standard deviation in the data, so that none counts for its unit,

    z = (x - mean) / sd,    Z = U S V^T,    a point's place: z V[:, :2]

Source: Hotelling 1933, "Analysis of a complex of statistical variables into principal components".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure, outside
from ebmcore_monitors.points.grid import box_around
from ebmcore_monitors.tables.columns import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARGIN = 0.15  # of the data's range, around them
HELD_OUT = "#1c7ed6"


class Components(NamedTuple):
    """The first two principal components of standardised columns."""

    mean: Tensor  # (columns,)
    sd: Tensor  # (columns,), 1 for a column that never varies
    directions: Tensor  # (columns, 2), each with its largest number positive
    shares: tuple[float, float]  # of the variance of the standardised columns

    def __call__(self, x: Tensor) -> Tensor:
        """Return the places of points, (n, columns) -> (n, 2)."""
        return ((x - self.mean) / self.sd) @ self.directions


def components(x: Tensor) -> Components:
    """Fit the components on x, (n, columns), of at least two rows and two columns."""
    mean, sd = x.mean(0), x.std(0)
    sd = torch.where(sd > 0, sd, 1.0)
    _, scales, directions = torch.linalg.svd((x - mean) / sd, full_matrices=False)
    first = directions[:2].T
    largest = first.gather(0, first.abs().argmax(0)[None])
    variance = scales.square()
    total = float(variance.sum()) or 1.0
    return Components(
        mean, sd, first * largest.sign(), (float(variance[0]) / total, float(variance[1]) / total)
    )


def plot_components(view: RunView, table: Table) -> Figure:
    """Plot each kind in a panel of its own over the data, in grey; all have the same axes."""
    place = components(table.data)
    data = place(table.data)
    box = box_around(data, MARGIN)
    kinds = [("data", DATA, data)]
    if len(table.held_out):
        kinds.append(("held-out data", HELD_OUT, place(table.held_out)))
    kinds.append(("samples", SAMPLES, place(table.samples[: len(data)])))
    figure = new_figure(view, 4.2 * len(kinds), 4.6, "the first two principal components")
    panels = figure.subplots(1, len(kinds), sharex=True, sharey=True)
    grey = data.numpy()
    for axes, (name, colour, x) in zip(panels, kinds, strict=True):
        if name != "data":
            axes.scatter(grey[:, 0], grey[:, 1], s=6, c="0.8", linewidths=0)
        lost = outside(x, box)
        axes.scatter(*x.numpy().T, s=9, c=colour, alpha=0.6, linewidths=0)
        axes.set_title(
            f"{name} ({len(x):,}{f', {lost:.1%} outside' if lost else ''})"
            + (", data in grey" if name != "data" else ""),
            fontsize=10,
        )
        axes.set_xlim(*box[:, 0].tolist())
        axes.set_ylim(*box[:, 1].tolist())
        axes.set_xlabel(f"first component, {place.shares[0]:.0%} of the variance")
    panels[0].set_ylabel(f"second component, {place.shares[1]:.0%}")
    return figure
