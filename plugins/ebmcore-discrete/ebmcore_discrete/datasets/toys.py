"""Seven toys of the plane as published discrete models are measured on them, with exact masses.

Each is a mixture of kernels around nodes: a point's coordinates are independent given its node, so
the mass of a box is a sum over nodes of two differences of distribution functions. A curve's nodes
are those of a Gauss-Legendre rule, closer than its noise is wide. `pinwheel` alone has a density in
place of nodes.

Source: the code of Grathwohl et al. 2019, "FFJORD", as Dai et al. 2020, "Learning discrete
energy-based models via auxiliary-variable local exploration", encode it.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Generator, Tensor

_NODES = 16  # of a panel
_AT_ONCE = 2**22  # numbers of an intermediate result


class Toy(Protocol):
    """A law of points in the plane."""

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw points, (n, 2) float64."""

    def mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return the mass of boxes, (m, 2) each -> (m,), float64."""

    def table(self, edges: Tensor) -> Tensor:
        """Return the mass of all boxes between edges, the same on both axes, (e,) -> (e-1, e-1)."""


class Kernel(NamedTuple):
    """The law of a coordinate around its node: uniform in [0, width] and N(0, std²), added."""

    std: float
    width: float = 0.0

    def below(self, x: Tensor) -> Tensor:
        """Return the distribution function."""
        if self.std == 0:
            return (x / self.width).clamp(0, 1)
        z = x / self.std
        if self.width == 0:
            return _phi(z)
        return self.std / self.width * (_area(z) - _area(z - self.width / self.std))


def _phi(z: Tensor) -> Tensor:
    """Return Φ, the distribution function of N(0, 1)."""
    found: Tensor = torch.special.ndtr(z)
    return found


def _area(z: Tensor) -> Tensor:
    """Return ∫ Φ from -∞ to z."""
    return z * _phi(z) + (-z.square() / 2).exp() / math.sqrt(2 * math.pi)


class Nodes:
    """Kernels around nodes, which points are drawn by a rule of their own.

    Shapes: nodes (k, 2), weights (k,), sum 1; mirrored (k,) bool: the kernel is that of -x there.
    """

    def __init__(
        self, nodes: Tensor, weights: Tensor, kernel: Kernel, mirrored: Tensor | None = None
    ) -> None:
        self.nodes = nodes.double()
        self.weights = weights.double()
        self.kernel = kernel
        self.mirrored = torch.zeros(len(nodes), dtype=torch.bool) if mirrored is None else mirrored

    def mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return the mass of boxes, (m, 2) each -> (m,), float64."""
        size = max(1, _AT_ONCE // len(self.nodes))
        parts = []
        for a, b in zip(torch.split(low, size), torch.split(high, size), strict=True):
            first, second = (self._between(a[:, i], b[:, i], i) for i in (0, 1))
            parts.append((first * second) @ self.weights)
        return torch.cat(parts)

    def table(self, edges: Tensor) -> Tensor:
        """Return the mass of all boxes between edges, (e,) -> (e - 1, e - 1), float64."""
        first, second = (self._between(edges[:-1], edges[1:], i) for i in (0, 1))
        return (first * self.weights) @ second.T

    def _between(self, low: Tensor, high: Tensor, axis: int) -> Tensor:
        """Return each node's share between two ends of an axis, (m,) -> (m, k)."""
        off = [end.double()[:, None] - self.nodes[:, axis] for end in (low, high)]
        lower, upper = (
            torch.where(self.mirrored, -off[1], off[0]),
            torch.where(self.mirrored, -off[0], off[1]),
        )
        right = lower > self.kernel.width / 2  # there 1 - F(x) = F(width - x) keeps the digits
        turned = [self.kernel.width - upper, self.kernel.width - lower]
        lower, upper = torch.where(right, turned[0], lower), torch.where(right, turned[1], upper)
        return (self.kernel.below(upper) - self.kernel.below(lower)).clamp(min=0)


def _panels(begin: float, end: float, count: int) -> tuple[Tensor, Tensor]:
    """Return nodes and weights of a Gauss-Legendre rule in equal panels."""
    on_unit, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(_NODES))
    edges = torch.linspace(begin, end, count + 1, dtype=torch.float64)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    return (middle[:, None] + half[:, None] * on_unit).flatten(), (
        half[:, None] * weights
    ).flatten()


def _normal(shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _uniform(shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def _signs(n: int, generator: Generator | None) -> Tensor:
    return 1 - 2 * torch.randint(2, (n, 1), generator=generator, dtype=torch.float64)


class TwoSpirals(Nodes):
    """Two arms, x = ±(s a cos s', …)/3 with a uniform jitter of ½ in each coordinate, and noise."""

    def __init__(self) -> None:
        u, weights = _panels(0.0, 1.0, 36)
        arm = self._arm(u)
        nodes, twice = torch.cat([arm, -arm]), torch.cat([weights * u, weights * u])  # 2u/2
        mirrored = torch.arange(2 * len(arm)) >= len(arm)
        super().__init__(nodes, twice, Kernel(0.1, 0.5 / 3), mirrored)

    def _arm(self, u: Tensor) -> Tensor:
        angle = 3 * math.pi * u
        return torch.stack([-angle.cos(), angle.sin()], -1) * angle[..., None] / 3

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw points, (n, 2)."""
        arm = self._arm(_uniform((n,), generator).sqrt()) + _uniform((n, 2), generator) / 6
        return _signs(n, generator) * arm + 0.1 * _normal((n, 2), generator)


class EightGaussians(Nodes):
    """Eight Gaussians on a circle."""

    def __init__(self) -> None:
        angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
        nodes = 4 / 1.414 * torch.stack([angle.cos(), angle.sin()], 1)
        super().__init__(nodes, torch.full((8,), 1 / 8), Kernel(0.5 / 1.414))

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw points, (n, 2)."""
        which = torch.randint(8, (n,), generator=generator)
        return self.nodes[which] + self.kernel.std * _normal((n, 2), generator)


class Circles(Nodes):
    """Two circles of radius 1.5 and 3, with noise."""

    def __init__(self) -> None:
        t, weights = _panels(0.0, 2 * math.pi, 24)
        circle = torch.stack([t.cos(), t.sin()], 1)
        shares = torch.cat([weights, weights]) / (4 * math.pi)
        super().__init__(torch.cat([1.5 * circle, 3 * circle]), shares, Kernel(0.24))

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw points, (n, 2)."""
        radius = 1.5 * (1 + torch.randint(2, (n, 1), generator=generator))
        angle = 2 * math.pi * _uniform((n,), generator)
        clean = radius * torch.stack([angle.cos(), angle.sin()], 1)
        return clean + 0.24 * _normal((n, 2), generator)


class Moons(Nodes):
    """Two interleaving half circles, with noise."""

    def __init__(self) -> None:
        t, weights = _panels(0.0, math.pi, 20)
        shares = torch.cat([weights, weights]) / (2 * math.pi)
        nodes = torch.cat([self._moon(t, torch.full((len(t), 1), sign)) for sign in (1.0, -1.0)])
        super().__init__(nodes, shares, Kernel(0.2))

    def _moon(self, t: Tensor, sign: Tensor) -> Tensor:
        half = torch.stack([t.cos() - 0.5, t.sin() - 0.25], 1)
        middle = torch.tensor([0.0, 0.3], dtype=torch.float64)
        return 2 * sign * half + middle

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw points, (n, 2)."""
        t = math.pi * _uniform((n,), generator)
        return self._moon(t, _signs(n, generator)) + 0.2 * _normal((n, 2), generator)


class SwissRoll(Nodes):
    """A spiral of one and a half turns, with noise."""

    def __init__(self) -> None:
        t, weights = _panels(1.5 * math.pi, 4.5 * math.pi, 40)
        super().__init__(self._roll(t), weights / (3 * math.pi), Kernel(0.2))

    def _roll(self, t: Tensor) -> Tensor:
        return torch.stack([t * t.cos(), t * t.sin()], 1) / 5

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw points, (n, 2)."""
        t = 1.5 * math.pi * (1 + 2 * _uniform((n,), generator))
        return self._roll(t) + 0.2 * _normal((n, 2), generator)


class Checkerboard(Nodes):
    """Eight squares of a board of four by four, each of side 2."""

    def __init__(self) -> None:
        corner = torch.arange(4)
        column, row = torch.meshgrid(corner, corner, indexing="ij")
        dark = (column + row) % 2 == 0
        corners = 2.0 * torch.stack([column[dark], row[dark]], 1) - 4
        super().__init__(corners, torch.full((8,), 1 / 8), Kernel(0.0, 2.0))

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw points, (n, 2)."""
        which = torch.randint(8, (n,), generator=generator)
        return self.nodes[which] + 2 * _uniform((n, 2), generator)


class Pinwheel:
    """Five long Gaussians, each point f turned by ¼ exp(f₁): x = 2 R(2πk/5 + ¼ exp(f₁)) f.

    f₁ ~ N(1, 0.3²), f₂ ~ N(0, 0.1²). With ρ = |x|/2, f = ρ (cos β, sin β) where x is at the angle
    2πk/5 + ¼ exp(ρ cos β) + β, which Newton's steps solve for β, and

        p(x) = mean over k of p(f) / (4 |1 - ¼ f₂ exp(f₁)|)

    Beyond 5 standard deviations of f, where several β solve it, p takes one of them.
    """

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw points, (n, 2)."""
        scale = torch.tensor([0.3, 0.1], dtype=torch.float64)
        f = scale * _normal((n, 2), generator)
        f[:, 0] += 1
        arm = 2 * math.pi / 5 * torch.randint(5, (n,), generator=generator)
        cos, sin = (part(arm + f[:, 0].exp() / 4) for part in (torch.cos, torch.sin))
        return 2 * torch.stack([cos * f[:, 0] - sin * f[:, 1], sin * f[:, 0] + cos * f[:, 1]], 1)

    def density(self, x: Tensor) -> Tensor:
        """Return p(x), (m, 2) -> (m,), float64."""
        rho, angle = torch.linalg.vector_norm(x, dim=1) / 2, torch.atan2(x[:, 1], x[:, 0])
        total = torch.zeros_like(rho)
        for arm in range(5):
            to = angle - 2 * math.pi / 5 * arm
            beta = torch.zeros_like(rho)
            for _ in range(8):
                gap = (rho * beta.cos()).exp() / 4 + beta - to
                gap = (gap + math.pi) % (2 * math.pi) - math.pi
                slope = 1 - rho * beta.sin() * (rho * beta.cos()).exp() / 4
                beta = (beta - gap / slope.clamp(min=0.1)).clamp(-math.pi, math.pi)
            gap = (rho * beta.cos()).exp() / 4 + beta - to
            solved = ((gap + math.pi) % (2 * math.pi) - math.pi).abs() < 1e-9
            along, across = rho * beta.cos(), rho * beta.sin()
            exponent = ((along - 1) / 0.3).square() + (across / 0.1).square()
            area = 4 * (1 - across * along.exp() / 4).abs().clamp(min=1e-9)
            each = (-exponent / 2).exp() / (2 * math.pi * 0.3 * 0.1) / area
            total += torch.where(solved, each, 0.0) / 5
        return total

    def mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return the mass of boxes, (m, 2) each -> (m,), by 2 by 2 points of Gauss and Legendre."""
        on_unit, weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(2))
        middle, half = (low + high).double() / 2, (high - low).double() / 2
        total = torch.zeros(len(low), dtype=torch.float64)
        for u, w in zip(on_unit, weights, strict=True):
            for v, share in zip(on_unit, weights, strict=True):
                total += w * share * self.density(middle + half * torch.stack([u, v]))
        return total * half.prod(1)

    def table(self, edges: Tensor) -> Tensor:
        """Return the mass of all boxes between edges, (e,) -> (e - 1, e - 1), float64."""
        ends = torch.stack([edges[:-1], edges[1:]], 1)
        first, second = ends.repeat_interleave(len(ends), 0), ends.repeat(len(ends), 1)
        boxes = torch.stack([first, second], 1)  # (cells, axis, end)
        found = [self.mass(part[..., 0], part[..., 1]) for part in torch.split(boxes, 2**16)]
        return torch.cat(found).reshape(len(ends), len(ends))


TOYS: dict[str, type[Toy]] = {
    "2spirals": TwoSpirals,
    "8gaussians": EightGaussians,
    "checkerboard": Checkerboard,
    "circles": Circles,
    "moons": Moons,
    "pinwheel": Pinwheel,
    "swissroll": SwissRoll,
}
