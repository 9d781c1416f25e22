"""The evidence of the diagnoses: energies, a short trace of the chains, and the run's history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore import RunView, Trace
from ebmcore_monitors.points.labels import energies_at, labelled_subset, labels_for

FAR_ABOVE = 4.0  # standard deviations of the data's energies: normal ones exceed 4 at 3 in 100,000
CHAINS = 64  # that are followed over one training step's worth of sampling


class Finding(NamedTuple):
    """Whether a run shows a failure, and the warning to emit if it does."""

    detected: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The evidence at one call of the monitor."""

    view: RunView
    of_data: Tensor  # (n,), nats, float64
    of_held_out: Tensor | None  # (m,)
    of_samples: Tensor | None  # (batch,), of where the last training step's chains ended
    trace: Trace | None  # every step of some chains, one more than a training step takes
    model: Tensor | None = None  # (CHAINS, *event), samples of the model where training's chains
    # may begin at the data, and stay there however wrong the energy is
    of_model: Tensor | None = None  # (CHAINS,), of these

    @property
    def spread(self) -> float:
        """The standard deviation of E within data and samples, pooled; NaN when it isn't known."""
        return _pooled(self.of_data, self.of_samples)

    def numbers(self) -> dict[str, float]:
        """Return the numbers to record, which later calls read from the history."""
        numbers = {"energy_of_data": float(self.of_data.mean())}
        if self.of_samples is not None:
            numbers["energy_of_samples"] = float(self.of_samples.mean())
        judged = self.of_samples if self.of_model is None else self.of_model
        if judged is not None:
            gap = numbers["energy_of_data"] - float(judged.mean())
            spread = _pooled(self.of_data, judged)
            if spread > 0:
                numbers["gap_in_spreads"] = gap / spread
            highest = numbers["energy_of_data"] + FAR_ABOVE * float(self.of_data.std())
            numbers["above_data"] = float((judged > highest).double().mean())
        return {name: value for name, value in numbers.items() if math.isfinite(value)}

    def series(self, name: str) -> list[float]:
        """Return a number's recorded values, and its current one."""
        return [value for _, value in self.recorded(name)]

    def recorded(self, name: str) -> list[tuple[int, float]]:
        """Return a number's recorded steps and values, and its current ones."""
        recorded: Sequence[tuple[int, float]] = max(
            (s for key, s in self.view.history.items() if key.split("/")[-1] == name),
            key=len,
            default=(),
        )
        earlier = [(step, value) for step, value in recorded if step < self.view.step]
        now = self.numbers().get(name)
        return earlier if now is None else [*earlier, (self.view.step, now)]


def gather(view: RunView, n: int) -> Evidence:
    """Collect the evidence of a run, from at most n points of each kind."""
    samples = held_out = trace = model = of_model = None
    if view.x_neg is not None:
        samples = labelled_subset(view, view.x_neg, view.y_neg, n)
    if len(view.held_out):
        held_out = labelled_subset(view, view.held_out, view.held_out_y, n)
    if view.walk is not None and view.n_steps:
        labels = labels_for(view, CHAINS)
        trace = view.trace(CHAINS, view.n_steps + 1, y=labels, as_trained=True)
    if view.can_sample and view.begins_at_data:
        labels = labels_for(view, CHAINS)
        model = view.sample(CHAINS, y=labels)
        of_model = energies_at(view, model, labels)
    return Evidence(
        view=view,
        of_data=energies_at(view, *labelled_subset(view, view.data, view.data_y, n)),
        of_held_out=None if held_out is None else energies_at(view, *held_out),
        of_samples=None if samples is None else energies_at(view, *samples),
        trace=trace,
        model=model,
        of_model=of_model,
    )


def _pooled(*energies: Tensor | None) -> float:
    """Return the standard deviation within each kind, pooled; NaN when there are too few."""
    variances = [float(e.var()) for e in energies if e is not None and len(e) > 1]
    return math.sqrt(sum(variances) / len(variances)) if variances else math.nan


def scale_of(x: Tensor) -> float:
    """Return the root of the total variance of points x, (n, *event)."""
    return math.sqrt(float(x.flatten(1).double().var(0).sum())) if len(x) > 1 else math.nan


def median(values: Sequence[float]) -> float:
    """Return the median of some numbers."""
    return float(torch.tensor(values, dtype=torch.float64).quantile(0.5))
