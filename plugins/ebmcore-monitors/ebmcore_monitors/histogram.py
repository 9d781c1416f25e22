"""Two-dimensional histograms of data and samples on one scale, and their total variation."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ebmcore import PositiveInt, Real, RunView
from ebmcore_monitors.figures.drawing import Drawing
from ebmcore_monitors.figures.planes import draw_histograms
from ebmcore_monitors.figures.plotting import array, dated, outside, refuse_all_but_planes
from ebmcore_monitors.points.grid import box_around
from ebmcore_monitors.points.mixed import mixing_of


class Histogram2d:
    """Histograms of the data and of model samples: same bins, densities, one colour scale.

    `total_variation` is ½ Σ |share of data in a bin - share of samples in it|, from 0 to 1;
    everything outside the data's range counts as one more bin. Two finite samples never agree, so
    it has a floor above 0: of N data and M samples from the same density it is about
    ½ Σ √(2 p (1 - p) (1/N + 1/M) / π), p the bins' probabilities (0.24 for 10,000 of each from
    five Gaussians in 80 bins). Compare runs that have the same `n`, `bins` and data, and use larger
    bins for a lower floor. `rhat` of chains like the samples', and `mixed`, 1 when it is under 1.1:
    while it is 0, the sampler may keep the two apart, or bring them together, as much as the model.
    For events of shape (2,) only.

    Args:
        n: Number of samples to draw from the model.
        bins: Number of bins along each dimension, over the data's range.
        n_steps: Sampler steps for those samples; ten times those of a training step if null.
    """

    spaces: ClassVar = (Real,)
    every = "end"
    metrics: ClassVar = ("total_variation", "mixed", "rhat")

    def __init__(
        self,
        *,
        n: PositiveInt = 10_000,
        bins: PositiveInt = 80,
        n_steps: PositiveInt | None = None,
    ) -> None:
        self.n = n
        self.bins = bins
        self.n_steps = n_steps

    def check(self, event_shape: tuple[int, ...]) -> None:
        """Raise ValueError unless events have shape (2,)."""
        refuse_all_but_planes("histogram_2d", event_shape)

    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the `figure` and `total_variation`; ValueError when the run has no sampler."""
        self.check(view.data.shape[1:])
        samples = view.sample(self.n, self.n_steps)
        box = box_around(view.data, 0.0)
        data_shares, samples_shares = (shares(x, box, self.bins) for x in (view.data, samples))
        lost = outside(samples, box)
        # data fall outside their own range only by float rounding at the edges
        apart = (data_shares - samples_shares).abs().sum() + lost
        shown = {
            f"data ({len(view.data):,})": array(data_shares),
            f"model ({len(samples):,} samples, {lost:.1%} outside)": array(samples_shares),
        }
        figure = Drawing(draw_histograms, dated(view, "histograms"), box.tolist(), shown)
        mixing = mixing_of(view, self.n_steps)
        return {"figure": figure, "total_variation": float(apart) / 2, **mixing.numbers()}


def shares(x: Tensor, box: Tensor, bins: int) -> Tensor:
    """Return the share of the points in each bin of a box; they sum to 1 if all are inside.

    Shapes: x (n, 2), box (2, 2) -> (bins along x₁, bins along x₂), float64, on the CPU.
    """
    low, high = box
    edges = [
        torch.linspace(float(a), float(b), bins + 1, dtype=torch.float64)
        for a, b in zip(low, high, strict=True)
    ]
    counts = torch.histogramdd(x.detach().cpu().double(), edges).hist
    return counts / len(x)
