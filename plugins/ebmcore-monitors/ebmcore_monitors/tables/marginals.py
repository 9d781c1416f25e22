"""A histogram of each column: data and samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure
from ebmcore_monitors.tables.columns import Table, edges_of, ks_distances

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 16  # columns of one picture
ACROSS = 4  # columns beside each other, at most
BINS = 30
SEEN = 0.01  # share of the samples outside of a panel that it says
NAME = 22  # letters of a column's name that a title has room for
KS = "KS: largest difference of the shares below a value; 0 where both agree, 1 where none overlap"


def plot_marginals(view: RunView, table: Table) -> Figure:
    """Plot the histograms of all columns, or of the MOST that differ most, the worst first."""
    distances = ks_distances(table.data, table.samples)
    width = len(table.names)
    shown = list(range(width))
    title = "data and samples, column by column"
    if width > MOST:
        shown = distances.argsort(descending=True, stable=True)[:MOST].tolist()
        title = f"the {MOST} of {width} columns that differ most, the worst first"
    down = math.ceil(len(shown) / ACROSS)
    across = math.ceil(len(shown) / down)
    figure = new_figure(view, max(3.0 * across, 6.4), 2.1 * down + 1.3, title)
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for axes, column in zip(panels, shown, strict=False):
        _plot_column(axes, table.data[:, column], table.samples[:, column])
        axes.set_title(
            f"{shortened(table.names[column])} · KS {float(distances[column]):.2f}", fontsize=9
        )
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    handles, _ = panels[0].get_legend_handles_labels()
    lost = f", {table.lost:,} more not finite" if table.lost else ""
    counts = (f"data ({len(table.data):,})", f"samples ({len(table.samples):,}{lost})")
    figure.legend(
        handles,
        counts,
        loc="outside lower center",
        ncols=2,
        fontsize=9,
        frameon=False,
        title=KS,
        title_fontsize=8,
    )
    return figure


def shortened(name: str) -> str:
    """Return a name that fits above a small panel; dollar signs stay as they are."""
    name = name if len(name) <= NAME else name[: NAME - 1] + "…"
    return name.replace("$", "\\$")


def plot_histogram(axes: Axes, x: Tensor, edges: Tensor, colour: str, label: str) -> None:
    """Plot the share of x, (n,), in each bin; filled for data."""
    shares = torch.histogram(x, edges).hist / len(x)
    filled = colour == DATA
    axes.stairs(
        shares.numpy(),
        edges.numpy(),
        color=colour,
        fill=filled,
        alpha=0.3 if filled else 1.0,
        linewidth=1.4,
        label=label,
    )


def _plot_column(axes: Axes, data: Tensor, samples: Tensor) -> None:
    edges = edges_of(data, BINS)
    plot_histogram(axes, data, edges, DATA, "data")
    plot_histogram(axes, samples, edges, SAMPLES, "samples")
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    axes.set_yticks([])
    axes.tick_params(labelsize=8)
    if len(edges) <= 5:
        axes.set_xticks(torch.unique(data).tolist())
    else:
        axes.locator_params(axis="x", nbins=4)
    beyond = float(((samples < edges[0]) | (samples > edges[-1])).double().mean())
    if beyond >= SEEN:
        axes.text(
            0.97,
            0.95,
            f"{beyond:.0%} of\nsamples outside",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=7,
            color=SAMPLES,
        )
