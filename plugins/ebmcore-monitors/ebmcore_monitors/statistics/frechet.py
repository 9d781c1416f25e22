"""Fréchet distance of two samples, as if both were normal.

    d² = ‖μ₁ - μ₂‖² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)

The squared Wasserstein-2 distance of two normal laws with these means and covariances, in squared
units of the points. Of finite samples it is biased upwards, by about the same for samples of the
same size. Source: Dowson and Landau 1982, "The Fréchet distance between multivariate normal
distributions"; of a network's features Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter 2017,
"GANs trained by a two time-scale update rule converge to a local Nash equilibrium" (FID).
"""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(x: Tensor, y: Tensor) -> float:
    """Return d² of two samples, (n, d) and (m, d), at least two points each; in float64."""
    x, y = x.double(), y.double()
    d = x.shape[1]
    of_x, of_y = (points.T.cov().reshape(d, d) for points in (x, y))
    return frechet_of_moments(x.mean(0), of_x, y.mean(0), of_y)


def frechet_of_moments(mean_x: Tensor, of_x: Tensor, mean_y: Tensor, of_y: Tensor) -> float:
    """Return d² from means, (d,), and covariances, (d, d).

    (C₁ C₂)^½ has the eigenvalues of (C₁^½ C₂ C₁^½)^½, which is symmetric.
    """
    root = _square_root(of_x)
    across = torch.linalg.eigvalsh(root @ of_y @ root).clamp(min=0).sqrt().sum()
    apart = (mean_x - mean_y).square().sum()
    return max(0.0, float(apart + of_x.trace() + of_y.trace() - 2 * across))


def _square_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.T
    return root
