"""The unit interval to the line: x' = log s - log(1 - s), s = alpha + (1 - 2 alpha) x."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import Transform


class Logit(Transform):
    """x' = log s - log(1 - s), s = α + (1 - 2α) x, for numbers from 0 to 1.

    With α > 0 it is finite at 0 and 1. Rows beyond 0 and 1, which only new data may have, count as
    0 and 1. The inverse, (σ(x') - α) / (1 - 2α), lies in -α/(1 - 2α) … 1 + α/(1 - 2α).
    log |det| = Σ log(1 - 2α) - log s - log(1 - s), over an event's numbers.

    Source: Papamakarios, Pavlakou and Murray 2017, "Masked autoregressive flow for density
    estimation", appendix on the data (their λ is α).

    Args:
        alpha: α, from 0 to below 1/2; 0 takes no 0 and no 1.
    """

    check_event_shapes = ((3,), (2, 4))

    def __init__(self, *, alpha: float = 0.05) -> None:
        if not 0 <= alpha < 0.5:
            raise ValueError(f"alpha should be at least 0 and below 0.5; got {alpha}")
        self.alpha = alpha

    @staticmethod
    def check_batch(n: int, event_shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw numbers between 0 and 1 to check with."""
        return torch.rand((n, *event_shape), generator=generator, dtype=torch.float64)

    def fit(self, x: Tensor) -> None:
        """Raise ValueError when the training rows lie outside of 0 to 1."""
        low, high = float(x.min()), float(x.max())
        if low < 0 or high > 1 or (self.alpha == 0 and (low == 0 or high == 1)):
            ends = "between 0 and 1, without them" if self.alpha == 0 else "from 0 to 1"
            raise ValueError(
                f"takes numbers {ends}; the training rows are from {low:g} to {high:g}. Scale them "
                "first, by min_max or dequantise"
            )

    def _both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return log s and log(1 - s), each exact at its own end."""
        x, share = x.clamp(0, 1), 1 - 2 * self.alpha
        return (self.alpha + share * x).log(), (self.alpha + share * (1 - x)).log()

    def __call__(self, x: Tensor) -> Tensor:
        """Return the log odds, (n, *event)."""
        of_s, of_rest = self._both(x)
        return of_s - of_rest

    def inverse(self, x: Tensor) -> Tensor:
        """Return (σ(x') - α) / (1 - 2α)."""
        return (x.sigmoid() - self.alpha) / (1 - 2 * self.alpha)

    def log_abs_det(self, x: Tensor) -> Tensor:
        """Return the sum over an event's numbers, (n,), in nats."""
        of_s, of_rest = self._both(x)
        return (math.log1p(-2 * self.alpha) - of_s - of_rest).flatten(1).sum(1)
