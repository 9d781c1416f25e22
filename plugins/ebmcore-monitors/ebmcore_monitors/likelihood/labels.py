"""A conditional energy's marginal over its labels, whose density is that of all events together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from ebmcore import Energy, RunView, given
from ebmcore_monitors.likelihood.enumeration import Enumeration, enumerate_events
from ebmcore_monitors.likelihood.quadrature import Quadrature, integrate
from ebmcore_monitors.points.labels import is_conditional

MOST = 100  # labels, each with an integral of its own


class OverLabels:
    """E(x) = -log Σ_y π_y exp(-E(x, y) - log Z_y), with the shares π of the training labels."""

    def __init__(
        self,
        energy: Energy,
        labels: Tensor,
        log_weights: Tensor,
        log_z_error: float = 0.0,
        doubts: tuple[str, ...] = (),
    ) -> None:
        self.energy = energy
        self.labels = labels
        self.log_weights = log_weights
        self.log_z_error = log_z_error  # nats, the largest of the labels'
        self.doubts = doubts  # why it may be off by more

    def __call__(self, x: Tensor) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,); their log Z is 0."""
        each = [
            weight.to(x) - given(self.energy, y=label)(x)
            for label, weight in zip(self.labels, self.log_weights, strict=True)
        ]
        return -torch.stack(each).logsumexp(0)


def over_labels(view: RunView, box: Tensor, points: int, known: Tensor | None = None) -> RunView:
    """Return a view of the marginal energy if the run's energy requires labels, else the view.

    log Z of each label is by quadrature over a box, (2, dimensions), on `points` along each axis,
    an odd number; `known`, (k, *event), are points where the model may have mass. Raises ValueError
    when labels are no whole numbers, or more than MOST.
    """
    return _marginal(
        view, lambda energy: integrate(energy, lambda grid: None, view.data, box, points, known)
    )


def over_labels_of_events(view: RunView) -> RunView:
    """Return the same where log Z of each label is a sum over all events of a discrete space."""
    return _marginal(view, lambda energy: enumerate_events(energy, None, view.data, view.space))


def _marginal(view: RunView, normalise: Callable[[Energy], Quadrature | Enumeration]) -> RunView:
    if not is_conditional(view):
        return view
    y = view.data_y
    if y is None or y.ndim != 1 or y.is_floating_point() or len(torch.unique(y)) > MOST:
        raise ValueError(
            f"the energy requires labels; its marginal sums over at most {MOST} of them, whole "
            "numbers, which these data don't have. Remove the monitor"
        )
    labels, counts = torch.unique(y, return_counts=True)
    log_shares = (counts.double() / len(y)).log()
    each = [normalise(given(view.energy, y=label)) for label in labels]
    log_z = torch.tensor([of_label.log_z for of_label in each], dtype=torch.float64)
    error = max(of_label.log_z_error for of_label in each)
    doubts = dict.fromkeys(doubt for one in each for doubt in getattr(one, "doubts", ()))
    energy = OverLabels(view.energy, labels, log_shares.cpu() - log_z, error, tuple(doubts))
    return dataclasses.replace(view, energy=energy)
