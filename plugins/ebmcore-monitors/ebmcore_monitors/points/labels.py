"""Conditions of points: labels where the run's energy requires one, masks where it takes one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ebmcore import RunView, conditioned
from ebmcore_monitors.points.chunks import evaluate, split
from ebmcore_monitors.points.subset import rows_of


def is_conditional(view: RunView) -> bool:
    """Tell whether the run's energy requires a label."""
    return conditioned(view.energy, y=0) is not view.energy


def energies_at(
    view: RunView, x: Tensor, y: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Return E(x), or E(x, y) of an energy that requires labels, (n,), float64, on the CPU.

    An energy that takes a mask gets it.
    """
    named = {"y": y, "mask": mask}
    given = {name: rows for name, rows in named.items() if rows is not None}
    if conditioned(view.energy, **given) is view.energy:
        return evaluate(view.energy, split(x))
    values, at = [], 0
    for chunk in split(x):
        own = {name: rows[at : at + len(chunk)] for name, rows in given.items()}
        values.append(evaluate(conditioned(view.energy, **own), [chunk]))
        at += len(chunk)
    return torch.cat(values)


def subset_with_conditions(
    view: RunView, x: Tensor, *conditions: Tensor | None, n: int
) -> tuple[Any, ...]:
    """Return at most n of the points and their conditions, drawn as `subset` draws them."""
    rows = rows_of(x, n, view.generator)
    if rows is None:
        return x, *conditions
    return x[rows], *(None if values is None else values[rows] for values in conditions)


def labelled_subset(
    view: RunView, x: Tensor, y: Tensor | None, n: int
) -> tuple[Tensor, Tensor | None]:
    """Return at most n of the points and their labels, drawn as `subset` draws them."""
    points, labels = subset_with_conditions(view, x, y, n=n)
    return points, labels


def labels_for(view: RunView, n: int) -> Tensor | None:
    """Draw labels for n samples, as the data have them; None where the energy needs none."""
    return _drawn(view, view.data_y, n) if is_conditional(view) else None


def masks_for(view: RunView, n: int) -> Tensor | None:
    """Draw masks for n samples, as the data have them; None where the energy takes none."""
    mask = view.data_mask
    if mask is None or conditioned(view.energy, mask=mask) is view.energy:
        return None
    return _drawn(view, mask, n)


def _drawn(view: RunView, rows: Tensor | None, n: int) -> Tensor | None:
    if rows is None:
        return None
    generator = view.generator
    drawn = torch.randint(len(rows), (n,), generator=generator, device=generator.device)
    return rows[drawn.to(rows.device)]
