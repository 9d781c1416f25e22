"""The entropy of a density, from the distances of its samples to their nearest neighbours."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nearest_neighbour_entropy(x: Tensor) -> Tensor:
    """Estimate the entropy of the density of n samples: (d/n) Σ log ρᵢ + log V_d + ψ(n) - ψ(1).

    ρᵢ is the distance of xᵢ to the nearest of the others, d the number of elements of an event,
    V_d the volume of the unit ball and ψ the digamma function. The gradient goes through both ends
    of each distance. Two equal samples add a large negative constant, without a gradient.

    Shapes: x (n, *event) -> (), in nats. Raises ValueError for fewer than two samples.
    Source: the estimator of Kozachenko and Leonenko, 1987, with the first neighbour.
    """
    if len(x) < 2:
        raise ValueError(f"an entropy needs at least two chains; got {len(x)}")
    flat = x.flatten(1)
    n, elements = flat.shape
    with torch.no_grad():
        # exact differences: the product form loses close neighbours to rounding
        distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
        itself = torch.eye(n, dtype=torch.bool, device=x.device)
        nearest = distances.masked_fill(itself, math.inf).argmin(1)
    squares = (flat - flat[nearest]).square().sum(1).clamp_min(torch.finfo(x.dtype).tiny)
    half = 0.5 * elements
    ball = half * math.log(math.pi) - math.lgamma(half + 1)
    harmonic = sum(1 / k for k in range(1, n))  # ψ(n) - ψ(1)
    return half * squares.log().mean() + ball + harmonic
