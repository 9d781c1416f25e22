"""Draws from a mixture of Gaussians, whose density is known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt

FIVE_CENTERS = ((0.0, 0.0), (2.0, 2.0), (2.0, -2.0), (-2.0, 2.0), (-2.0, -2.0))


class GaussianMixture:
    """A mixture of round Gaussians of one width: p(x) = Σₖ wₖ N(x; cₖ, std² I).

    By default the five centres (0, 0), (±2, ±2) in the plane. Called, it draws (n, d) points, d the
    length of a centre, in torch's default dtype; each call goes on with the generator.

    `entropy`, in nats, is known for a single Gaussian, ½ d log(2πe std²), and None otherwise.
    Raises ValueError when the centres differ in length, or the weights from the centres in number.

    Args:
        n: How many points are drawn.
        std: Standard deviation of every Gaussian in every direction, in units of x.
        centers: One point for each Gaussian, of any dimension.
        weights: Relative weight of each Gaussian; equal when not given. They need not sum to 1.
        generator: (runtime) Source of the draws.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        std: PositiveFloat = 0.3,
        centers: Sequence[Sequence[float]] = FIVE_CENTERS,
        weights: Sequence[PositiveFloat] | None = None,
        generator: Generator | None = None,
    ) -> None:
        if n < 1 or not std > 0:
            raise ValueError(f"n and std should be positive; got n={n}, std={std}")
        self.n = n
        self.std = std
        self.centers = _points(centers)  # (k, d)
        self.weights = _shares(weights, len(self.centers))  # (k,)
        self.generator = generator
        dimension = self.centers.shape[1]
        gaussian = dimension / 2 * math.log(2 * math.pi * math.e * std**2)
        self.entropy: float | None = gaussian if len(self.centers) == 1 else None

    def __call__(self) -> Tensor:
        """Draw the points, (n, d)."""
        generator = self.generator
        device = torch.device("cpu") if generator is None else generator.device
        weights, centers = self.weights.to(device), self.centers.to(device)
        which = torch.multinomial(weights, self.n, replacement=True, generator=generator)
        dtype = torch.get_default_dtype()
        shape = (self.n, centers.shape[1])
        noise = torch.randn(shape, generator=generator, device=device, dtype=dtype)
        return centers.to(dtype)[which] + self.std * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (m, d) -> (m,), exactly and with its constant.

        Raises ValueError when x is of another dimension than the centres.
        """
        centers = self.centers.to(x)
        dimension = centers.shape[1]
        if x.ndim != 2 or x.shape[1] != dimension:
            raise ValueError(f"log_prob takes points (m, {dimension}); got {tuple(x.shape)}")
        squared = (x[:, None] - centers).square().sum(2)  # (m, k)
        constant = dimension / 2 * math.log(2 * math.pi * self.std**2)
        each = self.weights.to(x).log() - squared / (2 * self.std**2) - constant
        return each.logsumexp(1)


def _points(centers: Sequence[Sequence[float]]) -> Tensor:
    if len(centers) == 0 or len(centers[0]) == 0:
        raise ValueError("centers should hold at least one point of at least one number")
    for i, center in enumerate(centers):
        if len(center) != len(centers[0]):
            raise ValueError(
                f"centers[{i}] should have {len(centers[0])} numbers, as centers[0] has; "
                f"got {len(center)}"
            )
    rows = [list(center) for center in centers]
    return torch.tensor(rows, dtype=torch.float64)


def _shares(weights: Sequence[float] | None, count: int) -> Tensor:
    if weights is None:
        weights = [1.0] * count
    if len(weights) != count:
        raise ValueError(
            f"weights should have one number for each of {count} centers; got {len(weights)}"
        )
    if not all(weight > 0 for weight in weights):
        raise ValueError(f"weights should be positive; got {list(weights)}")
    shares = torch.tensor(list(weights), dtype=torch.float64)
    return shares / shares.sum()
