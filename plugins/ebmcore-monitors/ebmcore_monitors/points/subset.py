"""Random subsets of points, drawn from the monitor's own random stream."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def subset(x: Tensor, n: int, generator: Generator) -> Tensor:
    """Return at most n of the points, without repeats; all of them, in order, if n is larger.

    Shapes: x (m, *event) -> (min(m, n), *event).
    """
    rows = rows_of(x, n, generator)
    return x if rows is None else x[rows]


def rows_of(x: Tensor, n: int, generator: Generator) -> Tensor | None:
    """Return the numbers of the subset's rows; None where it is all of them."""
    if len(x) <= n:
        return None
    order = torch.randperm(len(x), generator=generator, device=generator.device)
    return order[:n].to(x.device)
