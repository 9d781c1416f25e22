"""Sliced Wasserstein distance: the transport distance of two samples' projections on a line.

    SW₂² = mean over unit vectors θ of W₂²(θᵀx, θᵀy),   W₂² of n numbers each: mean (x₍ᵢ₎ - y₍ᵢ₎)²

In units of x. Of N(0, I) and N(m, I) in d dimensions it is |m|/√d. Two finite samples of one
density are never at distance 0: compare runs with the same number of points, or use the p-value.
Source: Bonneel, Rabin, Peyré and Pfister 2015, "Sliced and Radon Wasserstein barycenters of
measures".
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def directions(count: int, dimension: int, generator: Generator) -> Tensor:
    """Draw unit vectors, uniform on the sphere: (count, dimension), float64, on the CPU."""
    drawn = torch.randn(
        count, dimension, generator=generator, device=generator.device, dtype=torch.float32
    )
    unit: Tensor = torch.nn.functional.normalize(drawn.cpu().double(), dim=1)
    return unit


def sliced_wasserstein(pooled: Tensor, labels: Tensor, along: Tensor) -> Tensor:
    """Return SW₂ of each labelling of the points; the projections are sorted once for all.

    Shapes: pooled (2n, d), labels (rows, 2n), n of each row true, along (count, d) -> (rows,).
    Raises ValueError when the samples differ in size.
    """
    size = len(pooled) // 2
    if 2 * size != len(pooled) or bool((labels.sum(1) != size).any()):
        raise ValueError("sliced_wasserstein takes as many points of one sample as of the other")
    projected, order = (pooled @ along.T).T.sort(dim=1)  # (count, 2n)
    distances = []
    for row in labels:
        is_x = row[order]  # (count, 2n), n true ones in each row, which stay sorted
        x, y = projected[is_x].view(-1, size), projected[~is_x].view(-1, size)
        distances.append((x - y).square().mean().sqrt())
    return torch.stack(distances)
