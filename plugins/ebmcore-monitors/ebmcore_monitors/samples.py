"""Samples of the model beside data: images, sequences, points of a plane, or tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor

from ebmcore import Binary, Categorical, PositiveInt, Real, RunView, Space, without_padding
from ebmcore_monitors.figures.mosaic import plot_curves, plot_images
from ebmcore_monitors.figures.plotting import (
    DATA,
    SAMPLES,
    array,
    frame_plane,
    new_figure,
    outside,
    plot_points,
)
from ebmcore_monitors.points.grid import box_around
from ebmcore_monitors.points.labels import masks_for, subset_with_conditions
from ebmcore_monitors.points.lattice import decoded
from ebmcore_monitors.tables.columns import Table, table_of
from ebmcore_monitors.tables.components import plot_components
from ebmcore_monitors.tables.marginals import plot_marginals
from ebmcore_monitors.tables.pairs import plot_pairs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REAL = Real()
Display = Literal["auto", "images", "sequences", "table"]
Kind = Literal["images", "sequences", "points", "table"]
MARGIN = 0.25  # of the data's range, around points of a plane
CELLS = 64  # samples, by default
ROWS = 1000  # of a table, by default: so many show the shape of a histogram


class Samples:
    """Plots of samples from the model, beside as many training data.

    Images have shape [H, W], [1, H, W] (grey) or [3, H, W] (colour), sequences [T, 1] or [T, C],
    points of a plane [2], and the rows of a table [columns]. Greys, colours and heights run from
    the lowest to the highest value of the data, the same in both panels and at every epoch; images
    clip values beyond that range, sequences show them. Of sequences of different length only the
    steps that count are drawn, and the samples have the lengths of data. Where the dataset has a
    method `decode`, (n, *event) -> (n, *point), the picture shows the points that events stand
    for, 1,000 by default: those of `gray_code` in the plane. Raises ValueError when the run has no
    sampler.

    A table has three pictures, in the data's units:

    - `marginals`: a histogram of each column, of the 16 that differ most if there are more, with
      the Kolmogorov-Smirnov distance between data and samples, 0 to 1.
    - `pairs`: the four columns that correlate most in the data against each other; not of bits.
    - `pca`: data, held-out data and samples in the first two principal components of the data, each
      column divided by its standard deviation.

    Args:
        n: Number of samples, and of data, to plot; 64 if null, and 1,000 of a table or of points
            that events stand for.
        n_steps: Sampler steps for those samples; ten times those of a training step if null.
        data: Whether to plot training data beside the samples; a table always has them.
        display: Plot as images, sequences or table; auto takes [T, 1] and flat events of categories
            or with a mask as sequences, [2] as points, and other flat events as a table.
    """

    every = "10 epochs"
    metrics: ClassVar = ()  # pictures alone
    evaluates = True  # `ebmcore evaluate` runs it on a trained model
    takes_mask = True

    def __init__(
        self,
        *,
        n: PositiveInt | None = None,
        n_steps: PositiveInt | None = None,
        data: bool = True,
        display: Display = "auto",
    ) -> None:
        self.n = n
        self.n_steps = n_steps
        self.data = data
        self.display = display

    def check(self, event_shape: tuple[int, ...], space: Space = _REAL) -> None:
        """Raise ValueError unless events of this shape can be plotted as `display`."""
        kind_of(event_shape, self.display, space)

    def __call__(self, view: RunView) -> dict[str, Figure]:
        """Return the `figure`, or a table's `marginals`, `pairs` and `pca`."""
        known = view.undo(view.data[:1], None if view.data_mask is None else view.data_mask[:1])
        space = view.space if view.transforms is None else view.transforms.spaces[0]
        points = decoded(view.dataset, known)
        space = space if points is known else _REAL
        kind = kind_of(points.shape[1:], self.display, space, view.data_mask is not None)
        many = kind == "table" or points is not known
        n = self.n or (ROWS if many else CELLS)
        mask = masks_for(view, n)
        samples = view.undo(view.sample(n, self.n_steps, mask=mask), mask)
        samples = decoded(view.dataset, samples)
        if kind == "table":
            return _plot_table(view, table_of(view, samples, n))
        return {"figure": self._plot(view, kind, counted(samples, mask))}

    def _plot(self, view: RunView, kind: Kind, samples: Tensor) -> Figure:
        known = decoded(view.dataset, view.undo(view.data, view.data_mask))
        n = len(samples)
        shown = [(f"samples ({n:,})", SAMPLES, samples)]
        if self.data:
            data, of_data = subset_with_conditions(view, known, view.data_mask, n=n)
            shown.insert(0, (f"data ({len(data):,})", DATA, counted(data, of_data)))
        low, high = value_range(view, known)
        title = "data and samples" if self.data else "samples"
        if kind == "images" and (known.ndim < 4 or known.shape[1] == 1):
            title += f": {low:.3g} black, {high:.3g} white"
        elif kind == "sequences":
            title += f": heights from {low:.3g} to {high:.3g}"
        figure = new_figure(view, 5.0 * len(shown), 5.4, title)
        panels = figure.subplots(1, len(shown), squeeze=False, gridspec_kw={"wspace": 0.08})[0]
        for axes, (title, colour, x) in zip(panels, shown, strict=True):
            if kind == "points":
                _plot_plane(axes, x, known, colour, title)
                continue
            axes.set_title(title, fontsize=10)
            if kind == "images":
                plot_images(axes, x.reshape(len(x), -1, *x.shape[-2:]), low, high)
            else:
                plot_curves(axes, x.reshape(*x.shape[:2], -1), low, high)
        return figure


def kind_of(
    event_shape: tuple[int, ...], display: Display, space: Space = _REAL, masked: bool = False
) -> Kind:
    """Return the kind of plot for events. Raises ValueError for a shape that doesn't fit it."""
    match tuple(event_shape):
        case (2,) if display == "auto":
            return "points"
        case (_,) if display == "table":
            return "table"
        case (_,) if display == "auto" and not masked and not isinstance(space, Categorical):
            return "table"
        case (time,) if time > 1 and display in ("auto", "sequences"):
            return "sequences"
        case (time, channels) if display == "sequences" or (display == "auto" and channels == 1):
            if time > 1:
                return "sequences"
        case (_, _) if display in ("auto", "images"):
            return "images"
        case (1 | 3, _, _) if display in ("auto", "images"):
            return "images"
    raise ValueError(
        "samples plots images [H, W], [1, H, W] or [3, H, W], sequences [T] or [T, C], points [2] "
        f"and tables [columns]; events of shape {tuple(event_shape)} can't be plotted with "
        f"display: {display}"
    )


def _plot_table(view: RunView, table: Table) -> dict[str, Figure]:
    """Plot what a table of so many columns has."""
    figures = {"marginals": plot_marginals(view, table)}
    if len(table.names) > 1 and not isinstance(view.space, Binary):
        figures["pairs"] = plot_pairs(view, table)
    if len(table.names) > 1 and len(table.data) > 1:
        figures["pca"] = plot_components(view, table)
    return figures


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
    plot_points(axes, array(x), colour, title)
    frame_plane(axes, box.tolist())
    axes.set_title(title + (f", {lost:.1%} outside" if lost else ""), fontsize=10)
