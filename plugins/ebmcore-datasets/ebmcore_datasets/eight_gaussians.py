"""Eight Gaussians on a circle."""

from __future__ import annotations

import math

from torch import Generator

from ebmcore import PositiveFloat, PositiveInt
from ebmcore_datasets.densities.density import refuse_unless_positive
from ebmcore_datasets.gaussian_mixture import GaussianMixture


class EightGaussians(GaussianMixture):
    """Eight round Gaussians of equal weight, evenly on a circle: p(x) = ⅛ Σₖ N(x; cₖ, std² I).

    cₖ = radius (cos kπ/4, sin kπ/4). Called, it draws (n, 2) points in torch's default dtype.
    `log_prob` is exact; `entropy` is by quadrature, to `entropy_error` (below 1e-7 nats).
    Raises ValueError when a key is not positive.

    Source: `8gaussians` in the code of Grathwohl et al. 2019, "FFJORD": radius 4/1.414 and standard
    deviation 0.5/1.414, which round to the defaults here.

    Args:
        n: How many points are drawn.
        radius: Distance of each centre from the origin, in units of x.
        std: Standard deviation of every Gaussian in each direction, in units of x.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        radius: PositiveFloat = 2.8,
        std: PositiveFloat = 0.35,
        generator: Generator | None = None,
    ) -> None:
        refuse_unless_positive(n=n, radius=radius, std=std)
        angles = [k * math.pi / 4 for k in range(8)]
        centers = [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]
        super().__init__(n=n, std=std, centers=centers, generator=generator)
        self.radius = radius
