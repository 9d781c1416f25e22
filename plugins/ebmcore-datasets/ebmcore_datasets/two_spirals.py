"""Two spirals, one inside the other."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt
from ebmcore_datasets.densities.curve import gauss_legendre, log_density_around, panels
from ebmcore_datasets.densities.density import Noisy, refuse_unless_positive
from ebmcore_datasets.densities.rng import evenly, uniform


class TwoSpirals(Noisy):
    """Two arms of an Archimedean spiral with Gaussian noise: x = ±c(s) + std ε.

    c(s) = radius · s · (cos φ, sin φ), φ = 2π turns s. The sign is even, and s = √u with u uniform
    on [0, 1], so that points lie about evenly along an arm. Called, it draws (n, 2) points in
    torch's default dtype. The usual code adds a uniform jitter as well; here the noise is
    Gaussian alone.

    `log_prob` is ∫ 2s ½ [N(x; c(s), std² I) + N(x; -c(s), std² I)] ds, by a Gauss-Legendre rule of
    nodes closer than the noise is wide: to 1e-8 of p wherever p is above 1e-15 of its peak, and
    further out to a thousandth of log p. `entropy` is by quadrature of it, to `entropy_error`
    (below 1e-7 nats).
    Raises ValueError when a key is not positive.

    Source: the problem of Lang and Witbrock 1988, "Learning to tell two spirals apart"; the density
    of the arms as in the code of Grathwohl et al. 2019, "FFJORD" (`2spirals`).

    Args:
        n: How many points are drawn.
        turns: How often an arm goes round the origin.
        radius: Distance from the origin at which the arms end, in units of x.
        std: Standard deviation of the noise in each direction, in units of x.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        turns: PositiveFloat = 1.5,
        radius: PositiveFloat = 3.0,
        std: PositiveFloat = 0.15,
        generator: Generator | None = None,
    ) -> None:
        refuse_unless_positive(n=n, turns=turns, radius=radius, std=std)
        self.n = n
        self.turns = turns
        self.radius = radius
        self.std = std
        self.generator = generator
        even = torch.linspace(0, 1, 10_001, dtype=torch.float64)
        s, weights = gauss_legendre(panels(even, self._arm(even), std))
        arm = self._arm(s)
        self._nodes = torch.cat([arm, -arm])  # (k, 2)
        self._log_weights = (weights * s).log().repeat(2)  # (k,): 2s of the law, ½ of the sign
        self.terms = len(self._nodes)

    def _arm(self, s: Tensor) -> Tensor:
        """Return points of the first arm, (m,) in [0, 1] -> (m, 2)."""
        angle = 2 * math.pi * self.turns * s
        return self.radius * s[:, None] * torch.stack([angle.cos(), angle.sin()], 1)

    def _clean(self, n: int, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        sign = 1 - 2 * evenly(2, n, generator)
        return sign[:, None] * self._arm(uniform((n,), generator, dtype).sqrt())

    def _log_density(self, x: Tensor) -> Tensor:
        return log_density_around(x, self._nodes, self._log_weights, self.std)

    def _box(self) -> Tensor:
        return torch.stack([self._nodes.amin(0), self._nodes.amax(0)])
