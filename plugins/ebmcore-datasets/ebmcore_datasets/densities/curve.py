"""The density of Gaussian noise around a curve: p(x) = ∫ w(t) N(x; c(t), std² I) dt.

The integral over the curve's parameter t becomes a sum over nodes, which is a mixture of Gaussians
at the nodes. Spaced closer than the noise is wide, the nodes give p to the last digits.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

NODES = 16  # of one panel
PANEL = 5.0  # length of a straight panel, in standard deviations of the noise
TURN = 2.5  # radians by which a panel much shorter than the noise is wide may turn


def gauss_legendre(edges: Tensor) -> tuple[Tensor, Tensor]:
    """Return nodes and weights of a Gauss-Legendre rule in each panel, (p + 1,) -> (16 p,) each.

    Σ w f(t) is ∫ f dt from the first edge to the last. The edges increase.
    """
    on_unit, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(NODES))
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    nodes = middle[:, None] + half[:, None] * on_unit
    return nodes.flatten(), (half[:, None] * weights).flatten()


def panels(t: Tensor, points: Tensor, std: float) -> Tensor:
    """Return edges of panels of the parameter t, shorter where the curve bends, (p + 1,).

    Shapes: t (n,), increasing, from one end of the curve to the other; points (n, 2), the curve's.
    """
    steps = points[1:] - points[:-1]
    size = torch.linalg.vector_norm(steps, dim=1) / (PANEL * std)
    heading = torch.atan2(steps[:, 1], steps[:, 0])
    turn = (heading[1:] - heading[:-1] + math.pi) % (2 * math.pi) - math.pi
    size[1:] += turn.abs() / TURN
    so_far = torch.cat([size.new_zeros(1), size.cumsum(0)])
    even = np.linspace(0, float(so_far[-1]), math.ceil(float(so_far[-1])) + 1)
    return torch.from_numpy(np.interp(even, so_far.numpy(), t.numpy()))


def log_density_around(x: Tensor, centers: Tensor, log_weights: Tensor, std: float) -> Tensor:
    """Return log Σ w N(x; c, std² I), (m, d), (k, d), (k,) -> (m,)."""
    variance = std**2
    constant = log_weights - centers.square().sum(1) / (2 * variance)
    constant = constant - centers.shape[1] / 2 * math.log(2 * math.pi * variance)
    each = torch.addmm(constant.to(x), x, centers.T.to(x) / variance)
    top = each.amax(1, keepdim=True)
    # the clamp adds 1e-35 for each center and avoids the slow exp of numbers that underflow
    total = (each - top).clamp(min=-80).exp().sum(1)
    return total.log() + top[:, 0] - x.square().sum(1) / (2 * variance)
