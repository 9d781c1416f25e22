"""The energies of data, held-out data, samples and a uniform reference, on one axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ebmcore import PositiveInt, RunView
from ebmcore_monitors.figures.plotting import DATA, SAMPLES, new_figure
from ebmcore_monitors.points.labels import (
    energies_at,
    labels_for,
    masks_for,
    subset_with_conditions,
)
from ebmcore_monitors.points.lattice import is_lattice
from ebmcore_monitors.points.mixed import mixing_of
from ebmcore_monitors.statistics.ranks import share_above
from ebmcore_monitors.warn_once import WarnsOnce

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"data": DATA, "held_out": "#1c7ed6", "samples": SAMPLES, "uniform": "#868e96"}
NAMES = {"held_out": "held-out data", "uniform": "uniform over the data's box"}
ALL_EVENTS = "uniform over all events"  # of bits and categories


class EnergyHistogram(WarnsOnce):
    """Histograms of E on data, held-out data, samples and points uniform over the data's box.

    Of bits and categories the last are uniform over all events.

    - `data_mean`, `held_out_mean`, `samples_mean`, `uniform_mean`: mean energies, in nats.
    - `samples_above`: P(E(sample) > E(held-out point, or else of the data)), ties counting half. ½
      for a model whose chains have the data's energies; near 1 or 0, they don't. The chains begin
      without the data. `samples_rhat` of chains like them, and `samples_mixed`, 1 when it is under
      1.1: while it is 0, the share is the sampler's doing as much as the model's, and the monitor
      warns.
    - `held_out_above`: P(E(held-out) > E(data)): ½ without overfitting, more with it.
    - `uniform_above`: P(E(uniform) > E(data)): 1 for a model that separates data from noise.

    These shares are areas under a ROC curve. They don't depend on the density's height: a model can
    order energies well and be far too flat. Without a sampler the samples are those of the last
    training step, if there was one. Numbers that can't be computed, such as the mean of infinite
    energies, are left out. Of sequences of different length all points have the energy of the steps
    that count, samples and uniform points those of the data.

    Args:
        n: Number of points, at most, of each kind.
        n_steps: Sampler steps for the samples; ten times those of a training step if null.
        bins: Number of bins of the histogram.
    """

    every = "20 epochs"
    metrics: ClassVar = ("*_mean", "*_above", "samples_mixed", "samples_rhat")
    evaluates = True  # `ebmcore evaluate` runs it on a trained model
    takes_mask = True

    def __init__(
        self, *, n: PositiveInt = 1000, n_steps: PositiveInt | None = None, bins: PositiveInt = 60
    ) -> None:
        super().__init__()
        self.n = n
        self.n_steps = n_steps
        self.bins = bins

    def __call__(self, view: RunView) -> dict[str, Any]:
        """Return the `figure`, the means and the shares."""
        energies = {}
        for name, values in self._energies(view).items():
            if bool(values.isnan().any()):
                view.warn(f"E is NaN at some points of {name}, so its energies are left out")
            else:
                energies[name] = values
        means = {f"{name}_mean": float(values.mean()) for name, values in energies.items()}
        numbers: dict[str, Any] = {
            name: mean for name, mean in means.items() if math.isfinite(mean)
        }
        of_data = energies.get("data")
        fresh = energies.get("held_out", of_data)
        for name, below in (("samples", fresh), ("held_out", of_data), ("uniform", of_data)):
            if name in energies and below is not None:
                numbers[f"{name}_above"] = share_above(energies[name], below)
        if view.can_sample:
            mixing = mixing_of(view, self.n_steps)
            numbers |= mixing.numbers("samples_")
            if mixing.doubtful:
                self.warn(view, "unmixed", mixing.warning("samples_above", "n_steps"))
        if any(bool(values.isfinite().any()) for values in energies.values()):
            numbers["figure"] = _plot(view, energies, self.bins)
        return numbers

    def _energies(self, view: RunView) -> dict[str, Tensor]:
        """Return the energies of each kind of points that the run has."""
        samples, labels, masks = view.x_neg, view.y_neg, view.mask_neg
        if view.can_sample:
            labels, masks = labels_for(view, self.n), masks_for(view, self.n)
            samples = view.sample(self.n, self.n_steps, y=labels, mask=masks)
        kinds = {
            "data": (view.data, view.data_y, view.data_mask),
            "held_out": (view.held_out, view.held_out_y, view.held_out_mask),
            "samples": (samples, labels, masks),
        }
        points = {
            name: subset_with_conditions(view, x, *conditions, n=self.n)
            for name, (x, *conditions) in kinds.items()
            if x is not None
        }
        uniform = uniform_over_box(view, self.n)
        points["uniform"] = (uniform, labels_for(view, self.n), masks_for(view, self.n))
        return {name: energies_at(view, *own) for name, own in points.items() if len(own[0])}


def uniform_over_box(view: RunView, n: int) -> Tensor:
    """Draw n events, (n, *event), each element uniform over its own range in the data.

    Of bits and categories each is uniform over all its values.
    """
    x = view.data
    if is_lattice(view.space):
        return view.space.sample((n, *x.shape[1:]), view.generator, x.device, x.dtype)
    low, high = x.amin(0), x.amax(0)
    if view.bounds is not None:
        low, high = view.bounds.to(x).unbind()
    generator = view.generator
    u = torch.rand((n, *x.shape[1:]), generator=generator, device=generator.device, dtype=x.dtype)
    return torch.lerp(low, high, u.to(x.device))


def _plot(view: RunView, energies: dict[str, Tensor], bins: int) -> Figure:
    """Plot densities on shared bins; energies of the reference far above all others are cut off."""
    finite = {name: e[e.isfinite()] for name, e in energies.items()}
    everything = torch.cat(list(finite.values()))
    own = torch.cat([e for name, e in finite.items() if name != "uniform"])
    low, highest = float(everything.min()), float(everything.max())
    top = float(own.max()) if len(own) else highest
    high = min(highest, top + max(top - low, 1e-6))
    high = high if high > low else low + 1.0
    figure = new_figure(view, 7.0, 4.4, "energies")
    axes = figure.add_subplot()
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64)
    for name, values in energies.items():
        shown = NAMES.get(name, name)
        if name == "uniform" and is_lattice(view.space):
            shown = ALL_EVENTS
        beyond = float((values > high).double().mean())
        label = f"{shown} ({len(values):,}{f', {beyond:.0%} further right' if beyond else ''})"
        counts = torch.histogram(values, edges).hist
        density = counts / (len(values) * float(edges[1] - edges[0]))
        filled = name == "data"
        axes.stairs(
            density.numpy(),
            edges.numpy(),
            color=COLOURS[name],
            label=label,
            linewidth=1.4,
            fill=filled,
            alpha=0.25 if filled else 1.0,
        )
    axes.set_xlim(low - 0.02 * (high - low), high)
    axes.set_xlabel("energy (nats)")
    axes.set_ylabel("density (per nat)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure
