"""Maximum mean discrepancy of two samples, with a Gaussian kernel or a polynomial one.

    MMD²ᵤ = Σᵢ≠ⱼ k(xᵢ, xⱼ) / (n (n - 1)) + Σᵢ≠ⱼ k(yᵢ, yⱼ) / (m (m - 1)) - 2 Σᵢⱼ k(xᵢ, yⱼ) / (n m)
    k(x, y) = exp(-‖x - y‖² / (2 s²)),  s the median distance of all pairs of pooled points
    k(x, y) = (xᵀy / d + 1)³,  d the numbers of a point

Unbiased, so below 0 about half of the time for samples of one density. Dimensionless.
Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola 2012, "A kernel two-sample test", eq. 3, and
section 8 for the median; Bińkowski, Sutherland, Arbel and Gretton 2018, "Demystifying MMD GANs",
for the polynomial kernel on a network's features (KID).
"""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_kernel(pooled: Tensor) -> Tensor | None:
    """Return k of all pairs of points, its bandwidth their median distance.

    Shapes: pooled (N, d) -> (N, N). None when that median is 0: more than half of the pairs are
    equal points.
    """
    # by differences: the faster way by products loses small distances to rounding
    distance = torch.cdist(pooled, pooled, compute_mode="donot_use_mm_for_euclid_dist")
    upper = distance[torch.ones_like(distance, dtype=torch.bool).triu(1)]
    bandwidth = float(upper.quantile(0.5)) if upper.numel() < 2**24 else float(upper.median())
    if not bandwidth > 0:
        return None
    return torch.exp(-distance.square() / (2 * bandwidth**2))


def polynomial_kernel(pooled: Tensor) -> Tensor:
    """Return (xᵀy / d + 1)³ of all pairs of points, (N, d) -> (N, N)."""
    return (pooled @ pooled.T / pooled.shape[1] + 1) ** 3


def squared_mmd(kernel: Tensor, labels: Tensor) -> Tensor:
    """Return MMD²ᵤ of each labelling of the points, from one kernel matrix.

    Shapes: kernel (n + m, n + m), labels (rows, n + m), bool, n true ones in each -> (rows,).
    Raises ValueError when n or m is below 2, which leaves no pair to average.
    """
    is_x = labels.to(kernel.dtype)
    n = int(labels[0].sum())
    m = labels.shape[1] - n
    if min(n, m) < 2:
        raise ValueError(f"MMD needs at least 2 points of each sample; got {n} and {m}")
    pairs = kernel - torch.diag(kernel.diagonal())  # i ≠ j
    to_x = is_x @ pairs  # (rows, points), each point's sum over x
    within_x = (to_x * is_x).sum(1)
    across = to_x.sum(1) - within_x
    within_y = pairs.sum() - within_x - 2 * across
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)
