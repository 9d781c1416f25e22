"""The entropy of a density, -∫ p log p dx in nats: by quadrature, or by the mean over samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

TOLERANCE = 1e-7  # nats by which two grids may differ
MASS = 1e-7  # how far from 1 the density's integral may be
LARGEST = 2**20  # points of a grid, at most
DRAWS = 2**16


class Entropy(NamedTuple):
    """An entropy and its error."""

    value: float  # nats
    error: float  # nats: 0 in closed form, else a grid's change or one standard error


def by_grid(log_prob: Callable[[Tensor], Tensor], box: Tensor, spacing: float) -> Entropy | None:
    """Sum over an even grid, halving its spacing until the sum stays the same.

    The error is the last change of the value. It is far above the remaining error: for a smooth
    density that is negligible at the ends of the box the sum converges geometrically (Trefethen and
    Weideman 2014, "The exponentially convergent trapezoidal rule", SIAM Review 56, section 5).
    None when the grid would be too large, or when the density doesn't integrate to 1 on it.

    Shapes: log_prob (m, d) -> (m,); box (2, d), its lowest and highest corner.
    """
    before = math.inf
    while True:
        counts = [math.ceil(width / spacing) + 1 for width in (box[1] - box[0]).tolist()]
        if math.prod(counts) > LARGEST:
            return None
        value, mass = _sums(log_prob, box, counts)
        if abs(value - before) <= TOLERANCE:
            return Entropy(value, abs(value - before)) if abs(mass - 1) <= MASS else None
        before, spacing = value, spacing / 2


def _sums(
    log_prob: Callable[[Tensor], Tensor], box: Tensor, counts: list[int]
) -> tuple[float, float]:
    ends = zip(*box.tolist(), counts, strict=True)
    axes = [torch.linspace(low, high, n, dtype=torch.float64) for low, high, n in ends]
    cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
    log_p = log_prob(torch.cartesian_prod(*axes).reshape(-1, len(axes)))
    p = log_p.exp()
    return -float(torch.xlogy(p, p).sum()) * cell, float(p.sum()) * cell


def by_draws(log_p: Tensor, log_given: Tensor, given: float) -> Entropy:
    """Estimate it from samples (x, z) of p(x) = ∫ p(x|z) p(z) dz, whose p(x|z) is known.

    H(x) = H(x|z) + I(x; z), and the information I is the mean of log p(x|z) - log p(x), which
    varies far less than log p(x) does. The error is one standard error of that mean.
    Source: Cover and Thomas, Elements of Information Theory, 2nd ed. 2006, chapter 8.

    Shapes: log_p, log_given (n,), log p(x) and log p(x|z) of each sample; given is H(x|z), in nats.
    """
    information = log_given - log_p
    return Entropy(
        given + float(information.mean()), float(information.std()) / math.sqrt(len(information))
    )
