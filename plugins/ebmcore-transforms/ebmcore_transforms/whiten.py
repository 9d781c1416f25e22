"""Whitening: all numbers of an event uncorrelated and of variance 1, by a shrunk covariance."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ebmcore import Transform


class Whiten(Transform):
    """x' = C^(-1/2) (x - mean), C = (1 - s) S + s m I, S the training rows' covariance.

    S has n in its denominator, m is the mean of its diagonal, and the share s in [0, 1] is Ledoit
    and Wolf's, which minimises the expected ‖C - Σ‖²: near 0 for many rows, near 1 for few. So C
    has an inverse also when there are more numbers than rows. C^(-1/2) is the symmetric root, of
    all that whiten the one that moves events least. Bring numbers of different units to one scale
    first, by `standardise`: s m I adds the same to each. Rows that are all the same are shifted
    alone, with a warning.

    The fit takes time with the cube of an event's numbers, a few seconds for 2,000.

    Source: Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance
    matrices", section 3.
    """

    def __init__(self) -> None:
        self.mean = torch.zeros(())  # (numbers,), float64
        self.to_white = torch.ones(())  # (numbers, numbers), C^(-1/2), float64
        self.from_white = torch.ones(())  # (numbers, numbers), C^(1/2), float64

    def fit(self, x: Tensor) -> None:
        """Find the mean and the covariance, (n, *event)."""
        rows = x.flatten(1).double()
        self.mean = rows.mean(0)
        values, vectors = torch.linalg.eigh(_shrunk(rows - self.mean))
        least = torch.finfo(torch.float64).eps * values[-1]
        if values[-1] <= 0:
            warnings.warn("the training rows are all the same: shifted, not scaled", stacklevel=2)
            values = torch.ones_like(values)
        scales = values.clamp(min=least).sqrt()
        self.to_white = (vectors / scales) @ vectors.T
        self.from_white = (vectors * scales) @ vectors.T

    def __call__(self, x: Tensor) -> Tensor:
        """Return C^(-1/2) (x - mean)."""
        return ((x.flatten(1) - self.mean.to(x)) @ self.to_white.to(x)).reshape(x.shape)

    def inverse(self, x: Tensor) -> Tensor:
        """Return C^(1/2) x' + mean."""
        return (x.flatten(1) @ self.from_white.to(x) + self.mean.to(x)).reshape(x.shape)

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return -½ log det C, the same for each event, (n,)."""
        half: Tensor = torch.linalg.slogdet(self.from_white).logabsdet
        return -half.to(x).expand(len(x))

    def state_dict(self) -> dict[str, Any]:
        """Return the mean and both roots."""
        return {"mean": self.mean, "to_white": self.to_white, "from_white": self.from_white}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self.mean = state["mean"]
        self.to_white, self.from_white = state["to_white"], state["from_white"]


def _shrunk(centred: Tensor) -> Tensor:
    """Return C of rows whose mean is 0, (n, numbers) -> (numbers, numbers)."""
    n, numbers = centred.shape
    covariance = centred.T @ centred / n
    mean = covariance.diagonal().mean()
    off = (covariance.square().sum() - numbers * mean.square()).clamp(min=0)  # ‖S - m I‖²
    fourth = centred.square().sum(1).square().mean()  # of ‖x - mean‖⁴
    error = ((fourth - covariance.square().sum()) / n).clamp(min=0)  # of E‖S - Σ‖², estimated
    share = torch.where(off > 0, error / off, 0.0).clamp(max=1)
    spherical = mean * torch.eye(numbers, dtype=centred.dtype)
    return (1 - share) * covariance + share * spherical
