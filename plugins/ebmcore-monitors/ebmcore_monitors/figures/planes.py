"""Draws figures of a plane from arrays alone, so that a process without torch can draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ebmcore_monitors.figures.plotting import (
    DATA,
    ON_A_WELL,
    SAMPLES,
    Box,
    empty_figure,
    frame_plane,
    plot_points,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import QuadContourSet
    from matplotlib.figure import Figure

    from ebmcore_monitors.figures.plotting import Points

LEVELS = 24


class Contours(NamedTuple):
    """Energies on a grid, and the range of them to plot."""

    along: Points  # (points along x₁,)
    up: Points  # (points along x₂,)
    energy: Points  # (points along x₂, points along x₁), nats
    low: float  # nats
    high: float  # nats


def draw_landscape(
    title: str, box: Box, contours: Contours, data: Points, samples: Points | None
) -> Figure:
    """Draw filled contours with data and samples, (n, 2), over them."""
    figure = empty_figure(6.4, 5.4, title)
    axes = figure.add_subplot()
    add_scale(axes, plot_contours(axes, contours))
    plot_points(axes, data, ON_A_WELL, "data")
    if samples is not None:
        plot_points(axes, samples, SAMPLES, "samples")
    frame_plane(axes, box)
    axes.legend(loc="upper right", fontsize=8, markerscale=2.5, framealpha=0.9)
    return figure


def draw_panels(
    title: str, box: Box, contours: Contours, data: Points, samples: Points | None, lost: float
) -> Figure:
    """Draw data, samples and filled contours side by side; a share `lost` of the samples is out."""
    figure = empty_figure(12.6, 4.9, title)
    left, middle, right = figure.subplots(1, 3, sharex=True, sharey=True)
    plot_points(left, data, DATA, "data")
    left.set_title(f"data ({len(data):,})", fontsize=10)
    if samples is None:
        reason = middle.text(0.5, 0.5, "the run has no sampler", transform=middle.transAxes)
        reason.set(ha="center", va="center", fontsize=9)
        middle.set_title("samples (none)", fontsize=10)
    else:
        plot_points(middle, samples, SAMPLES, "samples")
        beyond = f", {lost:.1%} outside" if lost else ""
        middle.set_title(f"samples ({len(samples):,}{beyond})", fontsize=10)
    filled = plot_contours(right, contours)
    right.set_title("energy", fontsize=10)
    add_scale(right, filled)
    for axes in (left, middle, right):
        frame_plane(axes, box)
        axes.label_outer()
    return figure


def draw_histograms(title: str, box: Box, shares: dict[str, Points]) -> Figure:
    """Draw shares of points in bins, (bins along x₁, bins along x₂), each under its title."""
    (left, bottom), (right, top) = box
    figure = empty_figure(9.6, 4.6, title)
    panels = figure.subplots(1, len(shares), sharex=True, sharey=True)
    area = {of: (right - left) * (top - bottom) / bins.size for of, bins in shares.items()}
    highest = max(bins.max() / area[of] for of, bins in shares.items())
    for axes, (of, bins) in zip(panels, shares.items(), strict=True):
        image = axes.imshow(
            (bins / area[of]).T,
            origin="lower",
            extent=(left, right, bottom, top),
            cmap="magma",
            vmin=0.0,
            vmax=highest,
            interpolation="nearest",
            aspect="auto",
        )
        axes.set_title(of, fontsize=10)
        frame_plane(axes, box)
        axes.label_outer()
    figure.colorbar(image, ax=panels, label="density (per unit area)")
    return figure


def plot_contours(axes: Axes, contours: Contours) -> QuadContourSet:
    """Plot filled contours: the darker, the lower the energy; one colour above the last level."""
    along, up, energy, low, high = contours
    levels = np.linspace(low, high, LEVELS + 1)
    # +inf would leave holes; twice the plotted range is above the last level too
    values = energy.clip(max=2 * high - low)
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
