"""Data, samples and energy landscape side by side."""

from __future__ import annotations

from typing import ClassVar

from ebmcore import PositiveFloat, PositiveInt, Real, RunView
from ebmcore_monitors.figures.drawing import Drawing
from ebmcore_monitors.figures.planes import draw_panels
from ebmcore_monitors.figures.plotting import array, dated, outside, refuse_all_but_planes
from ebmcore_monitors.figures.surface import surface
from ebmcore_monitors.points.grid import box_around
from ebmcore_monitors.points.subset import subset


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

    def __call__(self, view: RunView) -> dict[str, Drawing]:
        """Return the `figure`."""
        self.check(view.data.shape[1:])
        box = box_around(view.data, self.margin)
        data = array(subset(view.data, self.n, view.generator))
        samples = view.sample(self.n, self.n_steps) if view.can_sample else None
        shown = (None, 0.0) if samples is None else (array(samples), outside(samples, box))
        contours = surface(view, box, self.points, self.clip)
        title = dated(view, "data, samples and energy")
        return {"figure": Drawing(draw_panels, title, box.tolist(), contours, data, *shown)}
