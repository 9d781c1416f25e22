"""Quadratic energies, E(x) = ½ xᵀPx - bᵀx + c: closed under sums and temperatures."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor


class Quadratic(NamedTuple):
    """E(x) = ½ xᵀPx - bᵀx + c over flattened events, in float64 on the CPU.

    exp(-E)/Z is N(P⁻¹b, P⁻¹) when P is positive definite; otherwise exp(-E) can't be normalised.
    """

    precision: Tensor  # P, (features, features), symmetric
    linear: Tensor  # b, (features,)
    constant: float  # c, nats
    event_shape: tuple[int, ...]

    def plus(self, other: Quadratic) -> Quadratic:
        """Return the sum of two energies of the same events."""
        return Quadratic(
            self.precision + other.precision,
            self.linear + other.linear,
            self.constant + other.constant,
            self.event_shape,
        )

    def times(self, factor: float) -> Quadratic:
        """Return the energy times a factor."""
        return Quadratic(
            factor * self.precision,
            factor * self.linear,
            factor * self.constant,
            self.event_shape,
        )

    def factor(self) -> Tensor | None:
        """Return the lower triangular R of P = RRᵀ, or None when P isn't positive definite."""
        root, fault = torch.linalg.cholesky_ex(self.precision)
        return None if int(fault) else root

    def log_z(self) -> float | None:
        """Return -c + ½ bᵀP⁻¹b + ½ log det(2πP⁻¹); None when P isn't positive definite."""
        root = self.factor()
        if root is None:
            return None
        features = len(self.linear)
        half = torch.linalg.solve_triangular(root, self.linear[:, None], upper=False)
        log_det = 2 * root.diagonal().log().sum()
        gain = 0.5 * half.square().sum() - 0.5 * log_det
        return float(gain) - self.constant + features / 2 * math.log(2 * math.pi)

    def sample(
        self, n: int, generator: Generator | None, device: torch.device, dtype: torch.dtype
    ) -> Tensor:
        """Draw n events, (n, *event_shape). Raises ValueError when P isn't positive definite."""
        root = self.factor()
        if root is None:
            raise ValueError(
                "the energy's precision isn't positive definite, so exp(-E) can't be normalised"
            )
        mean = torch.cholesky_solve(self.linear[:, None], root)[:, 0]
        noise = torch.randn((n, len(mean)), generator=generator, device=device, dtype=dtype)
        root, mean = root.to(noise), mean.to(noise)
        away: Tensor = torch.linalg.solve_triangular(root, noise, upper=False, left=False)
        return (mean + away).reshape(n, *self.event_shape)
