"""A few columns against each other: data below the diagonal, samples above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure
from ebmcore_monitors.tables.columns import Table, edges_of, most_correlated
from ebmcore_monitors.tables.marginals import BINS, plot_histogram, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
POINTS = 500  # of each kind in a panel: more would be one blot


def plot_pairs(view: RunView, table: Table) -> Figure:
    """Plot the columns that depend most on each other in the data, so that they stay the same.

    Each pair has two panels, mirrored: data below the diagonal, samples above it.
    """
    chosen = most_correlated(table.data, COLUMNS)
    size = len(chosen)
    which = "" if size == len(table.names) else " that correlate most in the data"
    figure = new_figure(
        view, 2.3 * size + 0.6, 2.3 * size + 0.8, f"pairs of the {size} columns{which}"
    )
    panels = figure.subplots(size, size, squeeze=False)
    points = min(POINTS, len(table.data), len(table.samples))  # as many of each kind
    edges = [edges_of(table.data[:, column], BINS) for column in chosen]
    for row, vertical in enumerate(chosen):
        for at, horizontal in enumerate(chosen):
            axes = panels[row, at]
            if row == at:
                for x, colour in ((table.data, DATA), (table.samples, SAMPLES)):
                    plot_histogram(axes, x[:, vertical], edges[row], colour, "")
                axes.set_yticks([])
            else:
                x, colour = (table.data, DATA) if row > at else (table.samples, SAMPLES)
                _scatter(axes, x[:points, [horizontal, vertical]], colour)
                axes.set_ylim(float(edges[row][0]), float(edges[row][-1]))
            axes.set_xlim(float(edges[at][0]), float(edges[at][-1]))
            axes.locator_params(axis="x", nbins=3)
            axes.tick_params(labelsize=7)
            _label(axes, row, at, size, shortened(table.names[vertical]))
            if row == size - 1:
                axes.set_xlabel(shortened(table.names[horizontal]), fontsize=9)
    right = panels[0, -1]  # the first row's own scale is that of a histogram
    right.tick_params(right=True, labelright=True)
    figure.legend(
        [panels[-1, 0].collections[0], panels[0, -1].collections[0]],
        ["data, below the diagonal", "samples, above it"],
        loc="outside lower center",
        ncols=2,
        fontsize=9,
        frameon=False,
        markerscale=2.0,
    )
    return figure


def _label(axes: Axes, row: int, at: int, size: int, name: str) -> None:
    """Leave tick labels at the outer panels alone, and name the rows."""
    if at == 0:
        axes.set_ylabel(name, fontsize=9)
    if row < size - 1:
        axes.tick_params(labelbottom=False)
    if at > 0:
        axes.tick_params(labelleft=False)


def _scatter(axes: Axes, x: Tensor, colour: str) -> None:
    few = torch.as_tensor(x).numpy()
    axes.scatter(few[:, 0], few[:, 1], s=5, c=colour, alpha=0.5, linewidths=0)
