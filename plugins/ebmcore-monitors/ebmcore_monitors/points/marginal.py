"""Energies of points whose labels aren't known: a conditional energy summed over its labels."""

from __future__ import annotations

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.points.labels import energies_at, is_conditional

MOST = 100  # labels, with an energy each


def marginal_energies(view: RunView, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return E(x), or -log Σ_y exp(-E(x, y)) of an energy that requires labels, (n,), float64.

    The sum is over the labels of the training data, and its energy that of the joint density
    p(x, y) ∝ exp(-E(x, y)): the normalisers of the labels count as equal. Raises ValueError when
    the conditions aren't whole numbers, or more than MOST.
    """
    if not is_conditional(view):
        return energies_at(view, x, mask=mask)
    y = view.data_y
    labels = None if y is None or y.ndim != 1 or y.is_floating_point() else torch.unique(y)
    if labels is None or len(labels) > MOST:
        raise ValueError(
            f"the energy requires labels, and is summed over at most {MOST} of them, whole "
            "numbers, which these data don't have. Remove the monitor"
        )
    each = [energies_at(view, x, label.expand(len(x)), mask) for label in labels]
    return -torch.stack([-energy for energy in each]).logsumexp(0)
