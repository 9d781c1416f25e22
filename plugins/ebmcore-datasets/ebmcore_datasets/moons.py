"""Two interleaving half circles with noise."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt
from ebmcore_datasets.densities.curve import gauss_legendre, log_density_around, panels
from ebmcore_datasets.densities.density import Noisy, refuse_unless_positive
from ebmcore_datasets.densities.rng import evenly, uniform


class Moons(Noisy):
    """Two interleaving half circles with Gaussian noise: x = ±r (cos θ - ½, sin θ - ¼) + std ε.

    θ is uniform on [0, π], the sign even: the half circles of scikit-learn's `make_moons`, whose
    angles are evenly spaced instead, shifted so that the origin is in the middle. Called, it draws
    (n, 2) points in torch's default dtype.

    `log_prob` is the mean over θ and the sign of N(x; ±c(θ), std² I), by a Gauss-Legendre rule of
    nodes closer than the noise is wide: to 1e-8 of p wherever p is above 1e-15 of its peak, and
    further out to a thousandth of log p. `entropy` is by quadrature of it, to `entropy_error`
    (below 1e-7 nats).
    Raises ValueError when a key is not positive.

    Args:
        n: How many points are drawn.
        radius: Radius of both half circles, in units of x.
        std: Standard deviation of the noise in each direction, in units of x.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        radius: PositiveFloat = 2.0,
        std: PositiveFloat = 0.2,
        generator: Generator | None = None,
    ) -> None:
        refuse_unless_positive(n=n, radius=radius, std=std)
        self.n = n
        self.radius = radius
        self.std = std
        self.generator = generator
        even = torch.linspace(0, math.pi, 10_001, dtype=torch.float64)
        angles, weights = gauss_legendre(panels(even, self._upper(even), std))
        moon = self._upper(angles)
        self._nodes = torch.cat([moon, -moon])  # (k, 2)
        self._log_weights = (weights / (2 * math.pi)).log().repeat(2)  # (k,)
        self.terms = len(self._nodes)

    def _upper(self, angle: Tensor) -> Tensor:
        """Return points of the upper half circle, (m,) -> (m, 2)."""
        return self.radius * torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)

    def _clean(self, n: int, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        sign = 1 - 2 * evenly(2, n, generator)
        return sign[:, None] * self._upper(math.pi * uniform((n,), generator, dtype))

    def _log_density(self, x: Tensor) -> Tensor:
        return log_density_around(x, self._nodes, self._log_weights, self.std)

    def _box(self) -> Tensor:
        return torch.stack([self._nodes.amin(0), self._nodes.amax(0)])
