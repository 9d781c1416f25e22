"""The local spread of data: how much noise they bear before their density is another.

ℓ is the standard deviation of Gaussian noise that costs 0.1 nats, as far as a kernel density
estimate of the rows tells: the largest bandwidth whose leave-one-out log-likelihood lies within 0.1
of the best one's. Along one narrow direction, of standard deviation s, noise σ costs
½(r - 1 - log r), r = s²/(s² + σ²), which is 0.097 at σ = s; so ℓ ≈ s there, and less where several
directions are as narrow: 0.77 s in the plane.
Source for the cross-validated bandwidth: Silverman 1986, "Density estimation for statistics and
data analysis", section 3.4.4.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROWS = 1024  # of the data, evenly spaced; a quarter of them are the points where it is measured
COST = 0.1  # nats
_MOST = 20  # bandwidths, each the one before over √2, the first the whole spread


def whole_spread(x: Tensor) -> float:
    """Return the root of the mean variance of the data's numbers, (n, *event); 1 if it is 0."""
    spread = float(x.flatten(1).double().var(0, correction=0).mean().sqrt())
    return spread if spread > 0 and math.isfinite(spread) else 1.0


def local_spread(x: Tensor) -> float:
    """Return ℓ of the data, (n, *event), in units of x. Equal rows count as one."""
    flat = x.flatten(1)
    rows = flat[:: max(1, len(flat) // ROWS)][:ROWS].cpu().double()
    whole = whole_spread(rows)
    squared = torch.cdist(rows[::4], rows).square()  # (points, rows)
    squared = squared.masked_fill(squared <= 1e-9 * whole**2, math.inf)  # itself, and its equals
    widths, likelihoods = [whole], [_likelihood(squared, whole, rows.shape[1])]
    while len(widths) < _MOST and likelihoods[-1] >= max(likelihoods) - 10 * COST:
        widths.append(widths[-1] / math.sqrt(2))
        likelihoods.append(_likelihood(squared, widths[-1], rows.shape[1]))
    bound = max(likelihoods) - COST
    at = next(i for i, likelihood in enumerate(likelihoods) if likelihood >= bound)
    if at == 0:
        return whole
    share = (bound - likelihoods[at - 1]) / (likelihoods[at] - likelihoods[at - 1])
    return float(widths[at - 1] / math.sqrt(2) ** share)


def _likelihood(squared: Tensor, width: float, dimension: int) -> float:
    """Return the mean log density that the other rows give to a point, but for a constant."""
    each = torch.logsumexp(-squared / (2 * width**2), 1) - dimension * math.log(width)
    return float(each.clamp(min=-1e9).mean())
