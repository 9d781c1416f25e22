"""Weights as pictures in grey levels: black where negative, grey at 0, white where positive."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from ebmcore import RunView

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_weights(
    view: RunView,
    title: str,
    panels: dict[str, Tensor],
    *,
    most: float,
    unit: str,
    axis: str = "",
) -> Figure:
    """Plot matrices side by side on one scale from -most to most, with a bar that shows it.

    NaN is blue. With `axis`, the name of rows and columns, there are ticks.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(panels) + 1.0, 4.9), dpi=110, layout="constrained")
    figure.suptitle(f"{title} (step {view.step:,}, epoch {view.epoch:.4g})", fontsize=11)
    most = most or 1.0
    grey = colormaps["gray"].with_extremes(bad="#b9c9dc")
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, x) in zip(row, panels.items(), strict=True):
        shown = axes.imshow(x.numpy(), cmap=grey, vmin=-most, vmax=most, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(axis)
        axes.set_ylabel(axis)
        if not axis:
            axes.set_axis_off()
    beyond = any(bool((x.abs() > most).any()) for x in panels.values())
    figure.colorbar(
        shown, ax=list(row), label=unit, extend="both" if beyond else "neither", shrink=0.8
    )
    return figure


def mosaic(tiles: Tensor) -> Tensor:
    """Return tiles side by side with lines of NaN between, (n, h, w) -> (height, width)."""
    n, height, width = tiles.shape
    columns = math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    framed = tiles.new_full((rows * columns, height + 1, width + 1), math.nan)
    framed[:n, 1:, 1:] = tiles
    grid = framed.reshape(rows, columns, height + 1, width + 1).transpose(1, 2)
    return grid.reshape(rows * (height + 1), -1)[1:, 1:]
