"""Many small images or curves on one pair of axes, which is faster than one pair for each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 0.12  # of a cell, between the curves of neighbours
BETWEEN = "#b9c9dc"  # between grey images


def columns_of(n: int) -> int:
    """Return the number of columns that makes n cells nearly a square."""
    return math.ceil(math.sqrt(n))


def tile(images: Tensor) -> Tensor:
    """Lay images side by side with a line of NaN, one pixel wide, between them.

    Shapes: images (n, channels, height, width) -> (rows · (height + 1) - 1, …, channels).
    """
    n, channels, height, width = images.shape
    columns = columns_of(n)
    rows = math.ceil(n / columns)
    cells = images.new_full((rows * columns, channels, height + 1, width + 1), math.nan)
    cells[:n, :, :height, :width] = images
    whole = cells.reshape(rows, columns, channels, height + 1, width + 1).permute(0, 3, 1, 4, 2)
    return whole.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]


def plot_images(axes: Axes, images: Tensor, low: float, high: float) -> None:
    """Plot images, (n, channels, height, width), grey or in colour, black at low, white at high.

    The lines between grey images are blue, so that they stand out from black and from white.
    """
    whole = tile(images.detach().cpu().double())
    if whole.shape[-1] == 1:
        from matplotlib import colormaps

        grey = colormaps["gray"].with_extremes(bad=BETWEEN)
        axes.imshow(whole[..., 0].numpy(), cmap=grey, vmin=low, vmax=high, interpolation="nearest")
    else:
        colours = ((whole - low) / (high - low)).clamp(0, 1).nan_to_num(1.0)
        axes.imshow(colours.numpy(), interpolation="nearest")
    axes.set_axis_off()


def plot_curves(axes: Axes, curves: Tensor, low: float, high: float) -> None:
    """Plot sequences, (n, time, channels), one a cell, each cell from low to high.

    A curve that leaves its cell's range extends into the neighbouring cells: it is not clipped.
    """
    from matplotlib.collections import LineCollection

    curves = curves.detach().cpu().double()
    n, time, channels = curves.shape
    columns = columns_of(n)
    column, row = torch.arange(n) % columns, torch.arange(n) // columns
    x = column[:, None] + torch.linspace(0, 1 - GAP, time, dtype=torch.float64)
    y = (1 - GAP) * (curves - low) / (high - low) - row[:, None, None]
    rows = int(row.max()) + 1
    for channel in range(channels):
        lines = torch.stack([x, y[..., channel]], dim=-1).numpy()
        axes.add_collection(LineCollection(list(lines), colors=f"C{channel}", linewidths=1.0))
    edges = [
        [(c, level - r), (c + 1 - GAP, level - r)]
        for c, r in zip(column.tolist(), row.tolist(), strict=True)
        for level in (0, 1 - GAP)
    ]
    axes.add_collection(LineCollection(edges, colors="0.85", linewidths=0.6, zorder=0))
    axes.set_xlim(-GAP, columns)
    axes.set_ylim(-rows + 1 - GAP, 1)
    axes.set_axis_off()
