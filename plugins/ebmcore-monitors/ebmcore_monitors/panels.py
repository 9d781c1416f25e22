"""Data, samples and energy landscape side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ebmcore import PositiveFloat, PositiveInt, Real, RunView
from ebmcore_monitors.figures.plotting import (
    DATA,
    SAMPLES,
    frame_plane,
    new_figure,
    outside,
    plot_points,
    refuse_all_but_planes,
)
from ebmcore_monitors.figures.surface import add_scale, plot_surface, surface
from ebmcore_monitors.points.grid import box_around
from ebmcore_monitors.points.subset import subset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor


class Panels:
    """Three panels with the same axes: data, as many samples, and filled contours of E.

    For events of shape (2,) only. Without a sampler the middle panel is empty. The title of the
    samples' panel shows the share of them outside the axes.

    Args:
        n: Number of points of the data, and of samples, to plot.
        n_steps: Sampler steps for those samples; ten times those of a training step if null.
        points: Number of grid points along each dimension.
        margin: Share of the data's range to show beyond it on each side.
        clip: Nats above the 99 % quantile of the data's energy at which the colours end.
    """

    spaces: ClassVar = (Real,)
    every = "20 epochs"
    metrics: ClassVar = ()  # pictures alone

    def __init__(
        self,
        *,
        n: PositiveInt = 1000,
        n_steps: PositiveInt | None = None,
        points: PositiveInt = 200,
        margin: PositiveFloat = 0.25,
        clip: PositiveFloat = 6.0,
    ) -> None:
        self.n = n
        self.n_steps = n_steps
        self.points = max(2, points)
        self.margin = margin
        self.clip = clip

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Raise ValueError unless events have shape (2,)."""
        refuse_all_but_planes("panels", event_shape)

    def __call__(self, view: RunView) -> dict[str, Figure]:
        """Return the `figure`."""
        self.check(view.data.shape[1:])
        box = box_around(view.data, self.margin)
        figure = new_figure(view, 12.6, 4.9, "data, samples and energy")
        left, middle, right = figure.subplots(1, 3, sharex=True, sharey=True)
        data = subset(view.data, self.n, view.generator)
        plot_points(left, data, DATA, "data")
        left.set_title(f"data ({len(data):,})", fontsize=10)
        _plot_samples(middle, view.sample(self.n, self.n_steps) if view.can_sample else None, box)
        filled = plot_surface(right, surface(view, box, self.points, self.clip))
        right.set_title("energy", fontsize=10)
        add_scale(right, filled)
        for axes in (left, middle, right):
            frame_plane(axes, box)
            axes.label_outer()
        return {"figure": figure}


def _plot_samples(axes: Axes, samples: Tensor | None, box: Tensor) -> None:
    if samples is None:
        reason = axes.text(0.5, 0.5, "the run has no sampler", transform=axes.transAxes)
        reason.set(ha="center", va="center", fontsize=9)
        axes.set_title("samples (none)", fontsize=10)
        return
    plot_points(axes, samples, SAMPLES, "samples")
    lost = outside(samples, box)
    beyond = f", {lost:.1%} outside" if lost else ""
    axes.set_title(f"samples ({len(samples):,}{beyond})", fontsize=10)
