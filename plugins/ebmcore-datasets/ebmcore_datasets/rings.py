"""Circles round one centre."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt
from ebmcore_datasets.densities.density import Noisy, refuse_unless_positive
from ebmcore_datasets.densities.rng import choose, uniform
from ebmcore_datasets.densities.weights import shares


class Rings(Noisy):
    """Circles round the origin with Gaussian noise: x = r (cos θ, sin θ) + std ε, θ uniform.

    Called, it draws (n, 2) points in torch's default dtype. `log_prob` is exact, with ρ = |x|:

        p(x) = Σᵣ wᵣ / (2π std²) · exp(-(ρ - r)² / (2 std²)) · e^(-κ) I₀(κ),   κ = ρ r / std²

    from the mean over θ of exp(κ cos θ), which is I₀(κ), the modified Bessel function
    (https://dlmf.nist.gov/10.32.E1). `entropy` is by quadrature of it, to `entropy_error`
    (below 1e-7 nats). Raises ValueError when a key is not positive, or the weights differ from the
    radii in number.

    Source: `rings` in the code of Grathwohl et al. 2019, "FFJORD", with other radii and noise.

    Args:
        n: How many points are drawn.
        radii: Radius of each circle, in units of x.
        std: Standard deviation of the noise in each direction, in units of x.
        weights: Share of the points on each circle; equal when not given. They need not sum to 1.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        radii: Sequence[PositiveFloat] = (1.0, 2.0, 3.0),
        std: PositiveFloat = 0.15,
        weights: Sequence[PositiveFloat] | None = None,
        generator: Generator | None = None,
    ) -> None:
        refuse_unless_positive(n=n, std=std)
        if not radii or not all(radius > 0 for radius in radii):
            raise ValueError(f"radii should be one or more positive numbers; got {list(radii)}")
        self.n = n
        self.radii = torch.tensor(list(radii), dtype=torch.float64)  # (k,)
        self.std = std
        self.weights = shares(weights, len(radii), "radii")  # (k,)
        self.terms = 2 * len(radii)
        self.generator = generator

    def _clean(self, n: int, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        which = choose(self.weights, n, generator)
        radius = self.radii.to(which.device, dtype)[which]
        angle = 2 * math.pi * uniform((n,), generator, dtype)
        return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)

    def _log_density(self, x: Tensor) -> Tensor:
        variance = self.std**2
        distance: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        radii = self.radii.to(x)
        bessel: Tensor = torch.special.i0e(distance * radii / variance).log()
        each = self.weights.to(x).log() - (distance - radii).square() / (2 * variance) + bessel
        return each.logsumexp(1) - math.log(2 * math.pi * variance)

    def _box(self) -> Tensor:
        corner = self.radii.max().expand(2)
        return torch.stack([-corner, corner])
