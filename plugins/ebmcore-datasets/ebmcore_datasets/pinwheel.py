"""Arms that bend away from a hub."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat, PositiveInt
from ebmcore_datasets.densities.density import REACH, KnownDensity, refuse_unless_positive
from ebmcore_datasets.densities.entropy import DRAWS, Entropy, by_draws, by_grid
from ebmcore_datasets.densities.rng import evenly, normal


class Pinwheel(KnownDensity):
    """Long Gaussians at even angles, each point turned further by twist times its distance |z|.

    z ~ N((radius, 0), diag(radial_std², tangential_std²)), and x is z turned counter-clockwise by
    2π k / arms + twist |z|, k uniform on 0 … arms - 1. Called, it draws (n, 2) points in torch's
    default dtype.

    `log_prob` is exact: a turn by an angle that depends on |z| alone keeps |x| = |z| and every
    area, so p(x) is the mean over k of that Gaussian's density at x turned back. The usual code
    (make_pinwheel_data, of Johnson et al. 2016, "Composing graphical models with neural networks
    for structured representations and fast inference") turns by an angle that depends on z's first
    coordinate instead, which looks the same and whose density has no closed form.
    `entropy` is by quadrature, to `entropy_error` (below 1e-7 nats), or, where the arms are too
    thin for a grid, from 65,536 samples of a generator of its own, and `entropy_error` is then
    the standard error. Raises ValueError when n, arms, radius or a standard deviation is not
    positive.

    Args:
        n: How many points are drawn.
        arms: How many arms there are, each with the same share.
        radius: Distance from the origin of the middle of an arm, in units of x.
        radial_std: Standard deviation along an arm, in units of x.
        tangential_std: Standard deviation across an arm, in units of x.
        twist: Angle in radians by which a point is turned per unit of its distance; negative turns
            clockwise.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        arms: PositiveInt = 5,
        radius: PositiveFloat = 2.0,
        radial_std: PositiveFloat = 0.6,
        tangential_std: PositiveFloat = 0.2,
        twist: float = 0.35,
        generator: Generator | None = None,
    ) -> None:
        refuse_unless_positive(
            n=n, arms=arms, radius=radius, radial_std=radial_std, tangential_std=tangential_std
        )
        self.n = n
        self.arms = arms
        self.radius = radius
        self.radial_std = radial_std
        self.tangential_std = tangential_std
        self.twist = twist
        self.generator = generator
        self.terms = 2 * arms

    def __call__(self) -> Tensor:
        """Draw the points, (n, 2)."""
        dtype = torch.get_default_dtype()
        return self._turned(self._straight(self.n, self.generator, dtype), self.generator)

    def _straight(self, n: int, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        """Draw z, (n, 2)."""
        noise = normal((n, 2), generator, dtype)
        along = self.radius + self.radial_std * noise[:, 0]
        return torch.stack([along, self.tangential_std * noise[:, 1]], 1)

    def _turned(self, z: Tensor, generator: Generator | None) -> Tensor:
        """Turn each z onto a random arm, (n, 2)."""
        arm = evenly(self.arms, len(z), generator).to(z.dtype)
        angle = 2 * math.pi / self.arms * arm + self.twist * torch.linalg.vector_norm(z, dim=1)
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([cos * z[:, 0] - sin * z[:, 1], sin * z[:, 0] + cos * z[:, 1]], 1)

    def _log_density(self, x: Tensor) -> Tensor:
        arm = torch.arange(self.arms, dtype=x.dtype, device=x.device)
        distance = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        angle = 2 * math.pi / self.arms * arm + self.twist * distance  # (m, k)
        cos, sin = angle.cos(), angle.sin()
        first, second = x[:, :1], x[:, 1:]
        each = self._log_arm(cos * first + sin * second, cos * second - sin * first)
        return each.logsumexp(1) - math.log(self.arms)

    def _log_arm(self, along: Tensor, across: Tensor) -> Tensor:
        """Return the log density of z at (along, across), elementwise."""
        off = (along - self.radius) / self.radial_std
        return -(off.square() + (across / self.tangential_std).square()) / 2 - math.log(
            2 * math.pi * self.radial_std * self.tangential_std
        )

    def _find_entropy(self) -> Entropy:
        widest = max(self.radial_std, self.tangential_std)
        corner = torch.full((2,), self.radius + REACH * widest, dtype=torch.float64)
        narrowest = min(self.radial_std, self.tangential_std)
        entropy = by_grid(self.log_prob, torch.stack([-corner, corner]), narrowest / 2)
        if entropy is not None:
            return entropy
        own = torch.Generator().manual_seed(0)
        z = self._straight(DRAWS, own, torch.float64)
        area = self.radial_std * self.tangential_std
        return by_draws(
            self.log_prob(self._turned(z, own)),
            self._log_arm(z[:, 0], z[:, 1]),
            math.log(2 * math.pi * math.e * area),
        )
