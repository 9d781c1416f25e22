"""Points of a toy in the plane as bits: for each axis a sign and a Gray code."""

from __future__ import annotations

import math
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from ebmcore import Binary, PositiveInt
from ebmcore_discrete.datasets.toys import TOYS, Toy

# the largest |coordinate| of 5,000 points, which differs from draw to draw; these give the exact
# entropies of 32 bits 20.037 19.979 20.554 19.719 19.546 20.142 20.677
REACH = {
    "2spirals": 3.482,
    "8gaussians": 4.194,
    "circles": 3.779,
    "moons": 3.667,
    "pinwheel": 3.948,
    "swissroll": 3.265,
    "checkerboard": 4.0,
}
_TABLE = 2**9  # cells of an axis up to which all masses are kept; of more, the entropy is
# extrapolated from these

ToyName = Literal[
    "2spirals", "8gaussians", "checkerboard", "circles", "moons", "pinwheel", "swissroll"
]


class GrayCode:
    """Points of a toy in the plane, each coordinate as a sign bit and the Gray code of its cell.

    A coordinate v is in the cell |v| · scale, rounded down, of 2^m, m = bits/2 - 1 and
    scale = 2^m / (r + 2), r the largest |coordinate| of 5,000 points: the published setting, at 32
    bits. The event is (bits,): for the first axis and then for the second the sign, 1 below 0, and
    the Gray code of the cell, highest bit first; neighbouring cells differ in one bit. Called, it
    draws (n, bits) in torch's default dtype.

    `log_prob` is the exact mass of each event's cell, to rounding; that of pinwheel is by
    quadrature and leaves out 1e-5 of its mass. `entropy` is the sum over all events up to 18 bits;
    beyond, it is that of coarser cells, extrapolated, to about 1e-4 nats. `decode` gives the middle
    of each event's cell back, (n, 2). Its space is binary.
    Raises ValueError when bits is odd, or not from 6 to 60.

    Source: Dai et al. 2020, "Learning discrete energy-based models via auxiliary-variable local
    exploration".

    Args:
        toy: The law of the points.
        n: How many points are drawn.
        bits: Bits of an event, both axes together; with 16 all 65,536 events can be added up.
        generator: (runtime) Random generator of the points.
    """

    space: ClassVar = Binary()

    def __init__(
        self,
        toy: ToyName = "2spirals",
        *,
        n: PositiveInt = 10000,
        bits: PositiveInt = 16,
        generator: Generator | None = None,
    ) -> None:
        if toy not in TOYS:
            raise ValueError(f"toy should be one of {', '.join(TOYS)}; got {toy!r}")
        if bits % 2 or not 6 <= bits <= 60:
            raise ValueError(f"bits should be an even number from 6 to 60; got {bits}")
        self.toy: Toy = TOYS[toy]()
        self.n = n
        self.bits = bits
        self.generator = generator
        self.cells: int = 2 ** (bits // 2 - 1)  # on one side of 0
        self.scale: float = self.cells / (REACH[toy] + 2)  # cells per unit of x
        self.is_even = toy == "checkerboard"  # of one density, wherever it isn't 0

    def __call__(self) -> Tensor:
        """Draw the events, (n, bits)."""
        return self.encode(self.toy.draw(self.n, self.generator))

    def encode(self, points: Tensor) -> Tensor:
        """Return the events of points, (n, 2) -> (n, bits)."""
        points = points.double()
        cell = (points.abs() * self.scale).long().clamp(max=self.cells - 1)
        gray = cell ^ (cell >> 1)
        places = torch.arange(self.bits // 2 - 2, -1, -1, device=points.device)
        code = (gray[..., None] >> places) & 1
        sign = (points < 0).long()[..., None]
        return torch.cat([sign, code], 2).flatten(1).to(torch.get_default_dtype())

    def decode(self, x: Tensor) -> Tensor:
        """Return the middle of each event's cell, (n, bits) -> (n, 2)."""
        return ((self._corner(x) + 0.5) / self.scale).to(x.dtype)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (m, bits) -> (m,); -∞ where p is below 1e-300.

        Raises ValueError when x holds other events.
        """
        if tuple(x.shape[1:]) != (self.bits,):
            raise ValueError(f"log_prob takes events (m, {self.bits}); got {tuple(x.shape)}")
        corner = self._corner(x.cpu())
        if 2 * self.cells <= _TABLE:
            first, second = (corner + self.cells).long().T
            mass = self._masses[first, second]
        else:
            mass = self.toy.mass(corner / self.scale, (corner + 1) / self.scale)
        is_binary = ((x == 0) | (x == 1)).all(1).cpu()
        log_p = torch.where(is_binary & (mass > 1e-300), mass.clamp(min=1e-300).log(), -torch.inf)
        return log_p.to(x)

    @cached_property
    def entropy(self) -> float:
        """-Σ p log p, in nats; computed on first use."""
        if 2 * self.cells <= _TABLE:
            return _entropy(self._masses)
        if self.is_even:  # but for cells on an edge
            return math.log(32) + 2 * math.log(self.scale)
        fine = _entropy(self.toy.table(self._edges(_TABLE)))
        coarse = _entropy(self.toy.table(self._edges(_TABLE // 2))) + 2 * math.log(2)
        return fine + (fine - coarse) / 3 + 2 * math.log(2 * self.cells / _TABLE)

    def _corner(self, x: Tensor) -> Tensor:
        """Return the lower corner of each event's cell, in cells from 0, (n, 2) float64."""
        axes = x.reshape(len(x), 2, -1).long()
        ones = axes[..., 1:].cumsum(2) % 2  # the binary digits of a Gray code
        places = 2 ** torch.arange(ones.shape[2] - 1, -1, -1, device=x.device)
        cell = (ones * places).sum(2)
        return torch.where(axes[..., 0] == 1, -cell - 1, cell).double()

    def _edges(self, cells: int) -> Tensor:
        reach = self.cells / self.scale
        return torch.linspace(-reach, reach, cells + 1, dtype=torch.float64)

    @cached_property
    def _masses(self) -> Tensor:
        return self.toy.table(self._edges(2 * self.cells))  # (cells of an axis, the same)


def _entropy(masses: Tensor) -> float:
    return -float(torch.special.xlogy(masses, masses).sum())
