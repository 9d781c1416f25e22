"""Double wells: in each coordinate, or in one of each pair of coordinates; log Z is known."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat
from ebmcore_analytic.analytic import Analytic, exactly, normal, uniform
from ebmcore_analytic.constants import log_of
from ebmcore_analytic.numerics.line import Table, cells_for, tabulate

_TAIL = 60.0  # nats above the wells, or 0, where exp(-E) counts as 0


class DoubleWell(Analytic):
    """E(x) = Σᵢ h ((xᵢ/a)² - 1)² + tilt xᵢ, a = separation / 2, over the flattened event.

    Without a tilt the wells lie at xᵢ = ±a, of energy 0, with a barrier of h nats between them: 2ᵈ
    wells in d coordinates. A positive tilt favours the left ones. The coordinates are independent:
    log Z is d times that of one, by the trapezoidal rule in float64, exact to 1e-12. Samples
    invert a table of one coordinate's CDF, which is exact to 1e-8. `learnable` trains log h, the
    log of the separation, and the tilt.

    Shapes: x (batch, *event_shape), any -> (batch,), nats.

    Args:
        height: h, the barrier's height in nats.
        separation: Distance of the two wells of a coordinate, in units of x.
        tilt: Slope that is added along each coordinate, in nats per unit of x.
        learnable: Whether the constants are trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "double_well"
    log_height: Tensor  # ()
    log_separation: Tensor  # ()
    tilt: Tensor  # ()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        height: PositiveFloat = 4.0,
        separation: PositiveFloat = 2.0,
        tilt: float = 0.0,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        self.hold(
            learnable,
            log_height=log_of("height", height),
            log_separation=log_of("separation", separation),
            tilt=torch.tensor(float(tilt)),
        )

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        u = x * (2 * (-self.log_separation).exp())
        wells = self.log_height.exp() * (u.square() - 1).square()
        return (wells + self.tilt * x).sum(1)

    @property
    def log_z(self) -> float:
        """Log of the integral of one coordinate, times the number of them; in nats."""
        return self.features * self._table("cpu").log_integral()

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, features)."""
        u = uniform(n, self.features, self.tilt, generator)
        return self._table(u.device).quantile(u).to(self.tilt.dtype)

    def _table(self, device: torch.device | str) -> Table:
        """Tabulate exp(-E) of one coordinate, out to where E is _TAIL above the wells."""
        height = math.exp(exactly(self.log_height))
        half = math.exp(exactly(self.log_separation)) / 2
        tilt = float(exactly(self.tilt))
        reach = _reach(height, abs(tilt) * half)
        # the curvature in u is at most 12 h reach², and its inverse is the narrowest variance
        cells = cells_for(-reach, reach, (12 * height * reach**2) ** -0.5)

        def log_density(x: Tensor) -> Tensor:
            return -height * ((x / half).square() - 1).square() - tilt * x

        return tabulate(log_density, -half * reach, half * reach, cells, device)


class ManyWell(Analytic):
    """E(x) = Σ over pairs (a, b) of a⁴ - depth a² - tilt a + b²/2; 2ⁿ modes for n pairs.

    A pair is two numbers of the flattened event, one after the other. Each a has wells near
    ±√(depth/2), of which a positive tilt favours the right one: a chain crosses the depth²/4 nats
    between them hardly ever. With 32 numbers and the defaults log Z is 164.6957, and P(a > 0) .8443
    (`share_right`). log Z is exact to 1e-12, by the trapezoidal rule in float64; samples invert a
    table of the CDF of a, which is exact to 1e-8. `learnable` trains log depth and the tilt.

    Shapes: x (batch, *event_shape), an even number of numbers -> (batch,), nats. Raises ValueError
    when an event has an odd one.
    Source: Noé, Olsson, Köhler and Wu 2019, "Boltzmann generators", for a pair; 16 of them as in
    Midgley et al. 2023, "Flow annealed importance sampling bootstrap".

    Args:
        depth: Factor of -a², in nats per squared unit of x.
        tilt: Slope that favours positive a, in nats per unit of x.
        learnable: Whether the constants are trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "many_well"
    check_event_shapes = ((2,), (4, 2))
    log_depth: Tensor  # ()
    tilt: Tensor  # ()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        depth: PositiveFloat = 6.0,
        tilt: float = 0.5,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        if not self.features or self.features % 2:
            raise ValueError(f"takes pairs, an even number of numbers; got shape {event_shape}")
        self.hold(learnable, log_depth=log_of("depth", depth), tilt=torch.tensor(float(tilt)))

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        a, b = x.reshape(len(x), -1, 2).unbind(2)
        wells = ((a * a - self.log_depth.exp()) * a - self.tilt) * a
        return (wells + 0.5 * b * b).sum(1)

    @property
    def log_z(self) -> float:
        """The number of pairs times that of one, in nats."""
        return self.features / 2 * (self._table("cpu").log_integral() + math.log(2 * math.pi) / 2)

    @property
    def share_right(self) -> float:
        """P(a > 0), the same for each pair."""
        cumulative = self._table("cpu").cumulative  # 0 is its middle
        return 1 - float(cumulative[len(cumulative) // 2] / cumulative[-1])

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, features)."""
        pairs = self.features // 2
        u = uniform(n, pairs, self.tilt, generator)
        a = self._table(u.device).quantile(u).to(self.tilt.dtype)
        return torch.stack([a, normal(n, pairs, self.tilt, generator)], dim=2).flatten(1)

    def _table(self, device: torch.device | str) -> Table:
        """Tabulate exp(-E) of an a, out to where E is _TAIL; 0 is one of the edges."""
        depth, tilt = math.exp(exactly(self.log_depth)), float(exactly(self.tilt))
        reach = 1.0
        while reach**2 * (reach**2 - depth) - abs(tilt) * reach < _TAIL:  # E rises beyond a root
            reach *= 1.1
        cells = 2 * cells_for(0.0, reach, (12 * reach**2) ** -0.5)  # 12 a² bounds the curvature

        def log_density(a: Tensor) -> Tensor:
            return -a.square() * (a.square() - depth) + tilt * a

        return tabulate(log_density, -reach, reach, cells, device)


def _reach(height: float, tilt: float) -> float:
    """Return a u ≥ 1 beyond which h (u² - 1)² - tilt (u - 1) is above _TAIL, and the least such."""
    high = 2.0
    while height * (high**2 - 1) ** 2 - tilt * (high - 1) < _TAIL:
        high *= 2
    low = 1.0
    for _ in range(60):
        middle = (low + high) / 2
        above = height * (middle**2 - 1) ** 2 - tilt * (middle - 1) >= _TAIL
        low, high = (low, middle) if above else (middle, high)
    return high
