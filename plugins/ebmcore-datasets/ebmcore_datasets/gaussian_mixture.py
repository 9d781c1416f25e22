"""A mixture of Gaussians, whose density is known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt
from ebmcore_datasets.densities.density import Noisy, refuse_unless_positive
from ebmcore_datasets.densities.entropy import Entropy
from ebmcore_datasets.densities.rng import choose, normal
from ebmcore_datasets.densities.weights import shares

FIVE_CENTERS = ((0.0, 0.0), (2.0, 2.0), (2.0, -2.0), (-2.0, 2.0), (-2.0, -2.0))


class GaussianMixture(Noisy):
    """A mixture of round Gaussians of one width: p(x) = Σₖ wₖ N(x; cₖ, std² I).

    By default the five centres (0, 0), (±2, ±2) in the plane. Called, it draws (n, d) points, d the
    length of a centre, in torch's default dtype; each call advances the generator.

    `log_prob` is exact. `entropy`, in nats, is ½ d log(2πe std²) for a single Gaussian. For more it
    is by quadrature in one and two dimensions, to `entropy_error` (below 1e-7 nats); in more
    dimensions, or where the Gaussians lie too far apart for a grid, from 65,536 samples of a
    generator of its own, and `entropy_error` is the standard error.
    Raises ValueError when the centres differ in length, or the weights from the centres in number.

    Args:
        n: How many points are drawn.
        std: Standard deviation of every Gaussian in every direction, in units of x.
        centers: One point for each Gaussian, of any dimension.
        weights: Relative weight of each Gaussian; equal when not given. They need not sum to 1.
        labels: Whether to return (x, y), y (n,) the number of each point's Gaussian.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        std: PositiveFloat = 0.3,
        centers: Sequence[Sequence[float]] = FIVE_CENTERS,
        weights: Sequence[PositiveFloat] | None = None,
        labels: bool = False,
        generator: Generator | None = None,
    ) -> None:
        refuse_unless_positive(n=n, std=std)
        self.n = n
        self.std = std
        self.centers = _points(centers)  # (k, d)
        self.weights = shares(weights, len(self.centers), "centers")  # (k,)
        self.generator = generator
        self.labels = labels
        self.event_shape = (self.centers.shape[1],)
        self.terms = self.centers.numel()

    def __call__(self) -> Any:
        """Draw the points, (n, d), or with `labels` the pair (x, y)."""
        if not self.labels:
            return super().__call__()
        dtype = torch.get_default_dtype()
        y = choose(self.weights, self.n, self.generator)
        x = self.centers.to(y.device, dtype)[y]
        return x + self.std * normal(tuple(x.shape), self.generator, dtype), y

    def _clean(self, n: int, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        which = choose(self.weights, n, generator)
        return self.centers.to(which.device, dtype)[which]

    def _log_density(self, x: Tensor) -> Tensor:
        squared = (x[:, None] - self.centers.to(x)).square().sum(2)  # (m, k)
        constant = self.centers.shape[1] / 2 * math.log(2 * math.pi * self.std**2)
        each = self.weights.to(x).log() - squared / (2 * self.std**2) - constant
        return each.logsumexp(1)

    def _find_entropy(self) -> Entropy:
        count, dimension = self.centers.shape
        if count == 1:
            return Entropy(dimension / 2 * math.log(2 * math.pi * math.e * self.std**2), 0.0)
        return super()._find_entropy()

    def _box(self) -> Tensor | None:
        if self.centers.shape[1] > 2:
            return None
        return torch.stack([self.centers.amin(0), self.centers.amax(0)])


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
