"""The columns of a table, of the data and of samples, by their names."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.points.subset import subset

FEW = 12  # values of a column, at most, that its histogram has a bar for each of


class Table(NamedTuple):
    """Rows of the data, held-out data and samples, in the data's units, float64 on the CPU."""

    names: tuple[str, ...]  # of the columns
    data: Tensor  # (n, columns)
    held_out: Tensor  # (m, columns), may be empty
    samples: Tensor  # (k, columns), finite ones
    lost: int  # samples that were not finite


def table_of(view: RunView, samples: Tensor, n: int) -> Table:
    """Return at most n rows of each kind of data beside samples, (k, columns), as they are shown.

    Raises ValueError when no sample is finite.
    """
    x = _rows(samples)
    finite = x.isfinite().all(1)
    if not bool(finite.any()):
        raise ValueError("no sample is finite, so there is nothing to plot")
    data, held_out = (
        _rows(view.undo(subset(each, n, view.generator))) for each in (view.data, view.held_out)
    )
    return Table(column_names(view, x.shape[1]), data, held_out, x[finite], int((~finite).sum()))


def column_names(view: RunView, width: int) -> tuple[str, ...]:
    """Return the names of a table's columns in the data's units; x0, x1, … where none are known."""
    dataset = getattr(view.dataset, "original", view.dataset)
    for holder in (dataset, view):
        names = getattr(holder, "columns", None)
        if isinstance(names, tuple | list) and len(names) == width:
            return tuple(map(str, names))
    return tuple(f"x{i}" for i in range(width))


def ks_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return each column's Kolmogorov-Smirnov distance, max_v |F_x(v) - F_y(v)|, F the shares ≤ v.

    Shapes: x (n, columns), y (m, columns) -> (columns,), from 0 to 1. Source: Smirnov 1948, "Table
    for estimating the goodness of fit of empirical distributions".
    """
    at = torch.cat([x, y]).T.contiguous()
    shares = [
        torch.searchsorted(rows.T.contiguous().sort(1).values, at, right=True).double() / len(rows)
        for rows in (x, y)
    ]
    return (shares[0] - shares[1]).abs().amax(1)


def most_correlated(x: Tensor, n: int) -> list[int]:
    """Return at most n columns of x, (rows, columns), that depend on each other, in their order.

    The first two have the highest |correlation|; each further one has the highest with any of those
    before it. A column that never varies correlates with none.
    """
    centred = x - x.mean(0)
    scaled = centred / centred.norm(dim=0).clamp(min=torch.finfo(x.dtype).tiny)
    strength = (scaled.T @ scaled).abs()
    strength.fill_diagonal_(-1.0)
    first = int(strength.argmax())
    chosen = [first // len(strength), first % len(strength)][: x.shape[1]]
    while len(chosen) < min(n, x.shape[1]):
        nearest = strength[:, chosen].amax(1)
        nearest[chosen] = -2.0
        chosen.append(int(nearest.argmax()))
    return sorted(chosen)


def edges_of(column: Tensor, bins: int) -> Tensor:
    """Return the edges of a histogram of a column's data, (n,): the bulk of it and a margin.

    A column of few values gets a bar for each, its edges half way to the next.
    """
    values: Tensor = torch.unique(column)
    if len(values) == 1:
        return values + torch.tensor([-0.5, 0.5], dtype=column.dtype)
    if len(values) <= FEW:
        half = values.diff() / 2
        return torch.cat([values[:1] - half[:1], values[:-1] + half, values[-1:] + half[-1:]])
    low, high = column.quantile(torch.tensor([0.005, 0.995], dtype=column.dtype)).tolist()
    if high <= low:  # nearly all have one value
        low, high = float(values[0]), float(values[-1])
    margin = 0.15 * (high - low)
    return torch.linspace(low - margin, high + margin, bins + 1, dtype=column.dtype)


def _rows(x: Tensor) -> Tensor:
    return x.detach().double().cpu()
