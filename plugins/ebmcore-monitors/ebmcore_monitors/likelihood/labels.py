"""A conditional energy's marginal over its labels, whose density is that of all events together."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ebmcore import Energy, RunView, given
from ebmcore_monitors.likelihood.quadrature import integrate
from ebmcore_monitors.points.labels import is_conditional

MOST = 100  # labels, each with an integral of its own


class OverLabels:
    """E(x) = -log Σ_y π_y exp(-E(x, y) - log Z_y), with the shares π of the training labels."""

    def __init__(self, energy: Energy, labels: Tensor, log_weights: Tensor) -> None:
        self.energy = energy
        self.labels = labels
        self.log_weights = log_weights

    def __call__(self, x: Tensor) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,); their log Z is 0."""
        each = [
            weight.to(x) - given(self.energy, y=label)(x)
            for label, weight in zip(self.labels, self.log_weights, strict=True)
        ]
        return -torch.stack(each).logsumexp(0)


def over_labels(view: RunView, box: Tensor, points: int) -> RunView:
    """Return a view of the marginal energy if the run's energy requires labels, else the view.

    log Z of each label is by quadrature over a box, (2, dimensions), on `points` along each axis,
    an odd number. Raises ValueError when labels
    are no whole numbers, or more than MOST.
    """
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
    log_z = [
        integrate(given(view.energy, y=label), lambda grid: None, view.data, box, points).log_z
        for label in labels
    ]
    weights = log_shares.cpu() - torch.tensor(log_z, dtype=torch.float64)
    return dataclasses.replace(view, energy=OverLabels(view.energy, labels, weights))
