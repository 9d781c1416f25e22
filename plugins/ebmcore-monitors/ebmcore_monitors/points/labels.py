"""Energies of points with labels: each at its own, where the run's energy requires one."""

from __future__ import annotations

import torch
from torch import Tensor

from ebmcore import RunView, conditioned
from ebmcore_monitors.points.chunks import evaluate, split
from ebmcore_monitors.points.subset import rows_of


def is_conditional(view: RunView) -> bool:
    """Tell whether the run's energy requires a label."""
    return conditioned(view.energy, y=0) is not view.energy


def energies_at(view: RunView, x: Tensor, y: Tensor | None = None) -> Tensor:
    """Return E(x), or E(x, y) of an energy that requires labels, (n,), float64, on the CPU."""
    if y is None or not is_conditional(view):
        return evaluate(view.energy, split(x))
    chunks = list(split(x))
    labels = torch.split(y, len(chunks[0]))
    pairs = zip(chunks, labels, strict=True)
    return torch.cat([evaluate(conditioned(view.energy, y=y), [x]) for x, y in pairs])


def labelled_subset(
    view: RunView, x: Tensor, y: Tensor | None, n: int
) -> tuple[Tensor, Tensor | None]:
    """Return at most n of the points and their labels, drawn as `subset` draws them."""
    rows = rows_of(x, n, view.generator)
    if rows is None:
        return x, y
    return x[rows], None if y is None else y[rows]


def labels_for(view: RunView, n: int) -> Tensor | None:
    """Draw labels for n samples, as the data have them; None where the energy needs none."""
    if view.data_y is None or not is_conditional(view):
        return None
    size, generator = len(view.data_y), view.generator
    rows = torch.randint(size, (n,), generator=generator, device=generator.device)
    return view.data_y[rows.to(view.data_y.device)]
