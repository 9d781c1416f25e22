"""Pairs of a tilted double well and a Gaussian: many modes in many dimensions, with known log Z."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat
from ebmcore_analytic.analytic import Analytic, exactly, normal, uniform
from ebmcore_analytic.constants import log_of
from ebmcore_analytic.numerics.line import Table, cells_for, tabulate

_TAIL = 60.0  # nats above 0, where exp(-E) counts as 0


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
