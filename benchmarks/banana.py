"""A bent Gaussian in the plane, for benchmarks/planes.py: a plugin of one dataset."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt, dataset

BEND = 0.6


@dataset
class banana:  # noqa: N801 (named as in a config)
    """x₀ ~ N(0, 1), x₁ = b (x₀² - 1) + std ε, b = 0.6: a parabola with noise across it.

    Args:
        n: How many points are drawn.
        std: Standard deviation of the noise, in units of x.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        std: PositiveFloat = 0.07,
        generator: Generator | None = None,
    ) -> None:
        self.n = n
        self.std = std
        self.generator = generator
        self.entropy = 1 + math.log(2 * math.pi * std)  # nats; x ↦ ε has the determinant std

    def __call__(self) -> Tensor:
        """Draw (n, 2) points."""
        along, across = torch.randn(self.n, 2, generator=self.generator).unbind(1)
        return torch.stack([along, BEND * (along.square() - 1) + self.std * across], 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p, (n, 2) -> (n,), nats."""
        along, height = x.unbind(1)
        across = (height - BEND * (along.square() - 1)) / self.std
        return -0.5 * (along.square() + across.square()) - math.log(2 * math.pi * self.std)
