"""The entropy of a density, from the distances between its samples, with a gradient.

The gradient holds inverse distances, 1/ρₖ, ρₖ the distance to the k-th nearest neighbour. Around a
sample n p V_d ρₖ^d is nearly Gamma(k)-distributed, so E[ρₖ^-m] is finite only for k > m/d: the
gradient has a variance for k > 2/d, and the estimate of that variance converges for k > 4/d. A mean
over n samples then deviates by about (n/k)^(1/d) / √n, which doesn't grow with n for k ≥ n^(1-d/2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def nearest_neighbour_entropy(x: Tensor, *, neighbour: int | None = None) -> Tensor:
    """Estimate the entropy of the density of n samples: (d/n) Σ log ρᵢ + log V_d + ψ(n) - ψ(k).

    ρᵢ is the distance of xᵢ to its k-th nearest neighbour, d the number of elements of an event,
    V_d the volume of the unit ball and ψ the digamma function. The gradient goes through both ends
    of each distance. Two equal samples add a large negative constant, without a gradient.

    Biased where the density changes within ρ, the more so the larger d is: on n = 128 draws of
    N(0, I) by -0.05, -0.04, -0.05, +0.04, +0.8, +3.6 and +10.8 nats for d = 1, 2, 3, 8, 16, 32
    and 64, of n = 1,024 by +8.9 nats for d = 64.

    Args:
        x: The samples.
        neighbour: k, at most n - 1; None takes `neighbour_for`'s.

    Shapes: x (n, *event) -> (), in nats. Raises ValueError for fewer than two samples, and for a k
    that isn't between 1 and n - 1.
    Source: Kozachenko and Leonenko 1987 with the first neighbour; Goria, Leonenko, Mergel and Novi
    Inverardi 2005, "A new class of random vector entropy estimators and its applications in
    testing statistical hypotheses", with the k-th.
    """
    if len(x) < 2:
        raise ValueError(f"an entropy needs at least two chains; got {len(x)}")
    flat = x.flatten(1)
    n, elements = flat.shape
    k = neighbour_for(n, elements) if neighbour is None else neighbour
    if not 1 <= k < n:
        raise ValueError(f"neighbour should be between 1 and {n - 1} for {n} chains; got {k}")
    with torch.no_grad():
        # exact differences: the product form loses close neighbours to rounding
        distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
        itself = torch.eye(n, dtype=torch.bool, device=x.device)
        distances = distances.masked_fill(itself, math.inf)
        nearest = (
            distances.argmin(1)  # the first of several at one distance, of which topk takes any
            if k == 1
            else distances.topk(k, largest=False).indices[:, -1]
        )
    squares = (flat - flat[nearest]).square().sum(1).clamp_min(torch.finfo(x.dtype).tiny)
    half = 0.5 * elements
    ball = half * math.log(math.pi) - math.lgamma(half + 1)
    harmonic = sum(1 / j for j in range(k, n))  # ψ(n) - ψ(k)
    return half * squares.log().mean() + ball + harmonic


def neighbour_for(n: int, elements: int) -> int:
    """Return the nearest neighbour whose distances give the entropy's gradient a variance.

    The first for d ≥ 3 elements, the third for d = 2, and for d = 1 the √n-th, at least the fifth:
    its gradient has a fourth moment for d ≤ 2, and deviates no more in a larger batch. Of n ≤ k
    samples, the farthest.
    """
    if elements > 2:
        return 1
    steady = math.isqrt(n - 1) + 1 if elements == 1 else 1  # ⌈n^(1 - d/2)⌉
    return min(max(4 // elements + 1, steady), n - 1)
