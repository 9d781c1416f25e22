"""Random subsets of points, drawn from the monitor's own random stream."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def subset(x: Tensor, n: int, generator: Generator) -> Tensor:
    """Return at most n of the points, without repeats; all of them, in order, if n is larger.

    Shapes: x (m, *event) -> (min(m, n), *event).
    """
    if len(x) <= n:
        return x
    order = torch.randperm(len(x), generator=generator, device=generator.device)
    return x[order[:n].to(x.device)]
