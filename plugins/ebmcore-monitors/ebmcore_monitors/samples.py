"""Samples of the model beside data: images, sequences, or points of a plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ebmcore import PositiveInt, RunView, without_padding
from ebmcore_monitors.figures.mosaic import plot_curves, plot_images
from ebmcore_monitors.figures.plotting import (
    DATA,
    SAMPLES,
    frame_plane,
    new_figure,
    outside,
    plot_points,
)
from ebmcore_monitors.points.grid import box_around
from ebmcore_monitors.points.labels import masks_for, subset_with_conditions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Display = Literal["auto", "images", "sequences"]
MARGIN = 0.25  # of the data's range, around points of a plane


class Samples:
    """Plots of samples from the model, beside as many training data.

    Images have shape [H, W], [1, H, W] (grey) or [3, H, W] (colour), sequences [T] or [T, C], and
    points of a plane [2]. Greys, colours and heights run from the lowest to the highest value of
    the data, the same in both panels and at every epoch; images clip values beyond that range,
    sequences show them. Of sequences of different length only the steps that count are drawn, and
    the samples have the lengths of data. Raises ValueError when the run has no sampler.

    Args:
        n: Number of samples, and of data, to plot.
        n_steps: Sampler steps for those samples; ten times those of a training step if null.
        data: Whether to plot training data beside the samples.
        display: Plot as images or sequences; auto takes [T], [T, 1] as sequences, [2] as points.
    """

    every = "10 epochs"
    evaluates = True  # `ebmcore evaluate` runs it on a trained model
    takes_mask = True

    def __init__(
        self,
        *,
        n: PositiveInt = 64,
        n_steps: PositiveInt | None = None,
        data: bool = True,
        display: Display = "auto",
    ) -> None:
        self.n = n
        self.n_steps = n_steps
        self.data = data
        self.display = display

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Raise ValueError unless events of this shape can be plotted as `display`."""
        kind_of(event_shape, self.display)

    def __call__(self, view: RunView) -> dict[str, Figure]:
        """Return the `figure`."""
        known = view.undo(view.data, view.data_mask)
        kind = kind_of(known.shape[1:], self.display)
        mask = masks_for(view, self.n)
        drawn = view.undo(view.sample(self.n, self.n_steps, mask=mask), mask)
        shown = [(f"samples ({self.n:,})", SAMPLES, counted(drawn, mask))]
        if self.data:
            data, of_data = subset_with_conditions(view, known, view.data_mask, n=self.n)
            shown.insert(0, (f"data ({len(data):,})", DATA, counted(data, of_data)))
        figure = new_figure(
            view, 5.0 * len(shown), 5.4, "data and samples" if self.data else "samples"
        )
        panels = figure.subplots(1, len(shown), squeeze=False, gridspec_kw={"wspace": 0.08})[0]
        for axes, (title, colour, x) in zip(panels, shown, strict=True):
            if kind == "points":
                _plot_plane(axes, x, known, colour, title)
                continue
            axes.set_title(title, fontsize=10)
            low, high = value_range(view, known)
            if kind == "images":
                plot_images(axes, x.reshape(len(x), -1, *x.shape[-2:]), low, high)
            else:
                plot_curves(axes, x.reshape(*x.shape[:2], -1), low, high)
        return {"figure": figure}


def kind_of(
    event_shape: tuple[int, ...], display: Display
) -> Literal["images", "sequences", "points"]:
    """Return the kind of plot for events. Raises ValueError for a shape that doesn't fit it."""
    match tuple(event_shape):
        case (2,) if display == "auto":
            return "points"
        case (time,) if time > 1 and display != "images":
            return "sequences"
        case (time, channels) if display == "sequences" or (display == "auto" and channels == 1):
            if time > 1:
                return "sequences"
        case (_, _) if display != "sequences":
            return "images"
        case (1 | 3, _, _) if display != "sequences":
            return "images"
    raise ValueError(
        "samples plots images [H, W], [1, H, W] or [3, H, W], sequences [T] or [T, C] and points "
        f"[2]; events of shape {tuple(event_shape)} can't be plotted with display: {display}"
    )


def counted(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return x, (n, T, …), with NaN, which is not drawn, at the steps that don't count."""
    if mask is None:
        return x
    return x.where(without_padding(torch.ones_like(x), mask) > 0, torch.nan)


def value_range(view: RunView, known: Tensor) -> tuple[float, float]:
    """Return the lowest and highest value of all elements, widened when the two are equal.

    Shapes: known (n, *event), the data in their own units, which the view's bounds don't have where
    the data were transformed.
    """
    if view.data_mask is not None:
        known = known[view.data_mask]
    elif view.bounds is not None and view.transforms is None:
        known = torch.as_tensor(view.bounds)
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _plot_plane(axes: Axes, x: Tensor, data: Tensor, colour: str, title: str) -> None:
    box = box_around(data, MARGIN)
    lost = outside(x, box)
    plot_points(axes, x, colour, title)
    frame_plane(axes, box)
    axes.set_title(title + (f", {lost:.1%} outside" if lost else ""), fontsize=10)
