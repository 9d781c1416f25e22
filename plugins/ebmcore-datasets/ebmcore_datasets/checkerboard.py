"""The dark squares of a chess board."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.special import log_ndtr

from ebmcore import NonNegativeFloat, PositiveFloat, PositiveInt
from ebmcore_datasets.densities.density import Noisy, refuse_unless_positive
from ebmcore_datasets.densities.entropy import Entropy
from ebmcore_datasets.densities.rng import evenly, uniform


class Checkerboard(Noisy):
    """Uniform on the dark squares of a board whose middle is the origin; the lower left is dark.

    Called, it draws (n, 2) points in torch's default dtype. With hard edges (std 0) `log_prob` is
    -log A on the dark squares, A their area, and -∞ elsewhere; `entropy` is log A; `bounds` are the
    board's. Jumps are hard for energies and for quadrature: a grid that is not aligned with the
    squares, such as that of the monitor `exact_likelihood`, gets the mass wrong by about a
    percent, so that the monitor does not record `kl`; `nll` and `floor_gap` are right.

    With std > 0 every point has Gaussian noise and the edges are soft. `log_prob` stays exact:

        p(x) = Σ over dark squares of 1/A Π over both coordinates of Φ((b - x)/std) - Φ((a - x)/std)

    for a square from a to b. `entropy` is then by quadrature, to `entropy_error` (below 1e-7 nats),
    or, where the noise is too narrow for a grid, from 65,536 samples of a generator of its own, and
    `entropy_error` is then the standard error; `bounds` is None.
    Raises ValueError when n, squares or side is not positive, or std is negative.

    Source: `checkerboard` in the code of Grathwohl et al. 2019, "FFJORD", the same board.

    Args:
        n: How many points are drawn.
        squares: How many squares the board has along each side, dark and light together.
        side: Length of a square's side, in units of x.
        std: Standard deviation of the noise in each direction, in units of x; 0 for hard edges.
        generator: (runtime) Random generator of the points.
    """

    def __init__(
        self,
        *,
        n: PositiveInt = 10000,
        squares: PositiveInt = 4,
        side: PositiveFloat = 2.0,
        std: NonNegativeFloat = 0.0,
        generator: Generator | None = None,
    ) -> None:
        refuse_unless_positive(n=n, squares=squares, side=side)
        if not 0 <= std < math.inf:
            raise ValueError(f"std should be 0 or positive; got {std}")
        self.n = n
        self.squares = squares
        self.side = side
        self.std = std
        self.generator = generator
        count = torch.arange(squares + 1, dtype=torch.float64)
        self._edges = side * (count - squares / 2)  # (squares + 1,)
        column, row = torch.meshgrid(count[:-1], count[:-1], indexing="ij")
        self._dark = ((column + row) % 2 == 0).nonzero()  # (dark, 2), column and row of each
        self.log_area = math.log(len(self._dark)) + 2 * math.log(side)
        self.terms = 4 * (squares + 1)

    @property
    def bounds(self) -> Tensor | None:
        """Lowest and highest corner of the board, (2, 2); None when it has noise."""
        return None if self.std > 0 else self._box()

    def __call__(self) -> Tensor:
        """Draw the points, (n, 2)."""
        dtype = torch.get_default_dtype()
        return super().__call__() if self.std > 0 else self._clean(self.n, self.generator, dtype)

    def _clean(self, n: int, generator: Generator | None, dtype: torch.dtype) -> Tensor:
        square = self._dark[evenly(len(self._dark), n, generator).cpu()]  # (n, 2)
        within = uniform((n, 2), generator, dtype)
        low, high = (self._edges[square + i].to(within.device) for i in (0, 1))
        # rounded to a narrower type, a point or an edge could come to lie in a light square
        lowest, highest = (_rounded(edge, (low + high) / 2, dtype) for edge in (low, high))
        return (lowest + self.side * within).clamp(lowest, highest)

    def _log_density(self, x: Tensor) -> Tensor:
        if self.std > 0:
            first, second = (self._log_in_columns(x[:, i]) for i in (0, 1))  # (2, m) each
            return (first + second).logsumexp(0) - self.log_area
        first, second = (self._in_columns(x[:, i]) for i in (0, 1))
        dark = (first & second).any(0)
        return x.new_full(dark.shape, -self.log_area).masked_fill(~dark, -math.inf)

    def _in_columns(self, x: Tensor) -> Tensor:
        """Return whether x is in an even column, and whether in an odd one, (m,) -> (2, m).

        The edge between two columns is in both, so that a dark square includes all its edges.
        """
        edges = self._edges.to(x)
        inside = (edges[:-1] <= x[:, None]) & (x[:, None] <= edges[1:])  # (m, squares)
        return torch.stack([inside[:, parity::2].any(1) for parity in (0, 1)])

    def _log_in_columns(self, x: Tensor) -> Tensor:
        """Return the log probability that x less the noise is in an even, an odd column, (2, m)."""
        z = (self._edges.to(x) - x[:, None]) / self.std  # (m, squares + 1)
        low, high = z[:, :-1], z[:, 1:]
        right = low + high > 0  # there 1 - Φ(z) = Φ(-z) keeps the digits that Φ(z) loses
        low, high = torch.where(right, -high, low), torch.where(right, -low, high)
        below = log_ndtr(high)
        each = below + torch.log1p(-(log_ndtr(low) - below).exp())
        none = each.new_full((len(x), 1), -math.inf)  # a board of one square has no odd column
        return torch.stack(
            [torch.cat([each[:, parity::2], none], 1).logsumexp(1) for parity in (0, 1)]
        )

    def _find_entropy(self) -> Entropy:
        return super()._find_entropy() if self.std > 0 else Entropy(self.log_area, 0.0)

    def _box(self) -> Tensor:
        return self._edges[[0, -1]][:, None].expand(2, 2).clone()


def _rounded(edge: Tensor, inner: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the edges in a narrower dtype, each rounded only towards its inner point."""
    rounded = edge.to(dtype)
    outside = (rounded.double() - edge) * (inner - edge) < 0
    return torch.where(outside, rounded.nextafter(inner.to(dtype)), rounded)
