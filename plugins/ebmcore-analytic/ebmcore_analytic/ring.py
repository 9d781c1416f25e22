"""A ring in the plane."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat
from ebmcore_analytic.analytic import Analytic, exactly, uniform
from ebmcore_analytic.constants import log_of
from ebmcore_analytic.numerics.line import cells_for, tabulate
from ebmcore_analytic.numerics.radius import radius


class Ring(Analytic):
    """E(x) = ((‖x‖ - r) / s)² / 2 for events of two numbers.

    Z = 2π ∫₀^∞ ρ exp(-(ρ - r)²/(2s²)) dρ = 2π [s² exp(-r²/(2s²)) + r s √(π/2) (1 + erf(r/(s√2)))],
    which takes into account that ‖x‖ is never below 0. Samples take a uniform angle, and a radius
    by inverting a table of its CDF, which is exact to 1e-8. E has a kink at x = 0, where its
    derivatives here are 0. `learnable` trains log r and log s.

    Shapes: x (batch, *event_shape) of two numbers -> (batch,), nats. Raises ValueError when an
    event has more or fewer.

    Args:
        radius: r, in units of x.
        width: s, the standard deviation across the ring where it is thin, in units of x.
        learnable: Whether the constants are trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "ring"
    log_radius: Tensor  # ()
    log_width: Tensor  # ()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        radius: PositiveFloat = 2.0,
        width: PositiveFloat = 0.2,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        if self.features != 2:
            raise ValueError(f"takes events of two numbers; got shape {self.event_shape}")
        self.hold(learnable, log_radius=log_of("radius", radius), log_width=log_of("width", width))

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, 2) -> (batch,)."""
        off = (radius(x) - self.log_radius.exp()) * (-self.log_width).exp()
        return 0.5 * off.square()

    @property
    def log_z(self) -> float:
        """Log Z in closed form, in nats."""
        r, s = self._constants()
        edge = s**2 * math.exp(-(r**2) / (2 * s**2))
        bulk = r * s * math.sqrt(math.pi / 2) * (1 + math.erf(r / (s * math.sqrt(2))))
        return math.log(2 * math.pi) + math.log(edge + bulk)

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, 2)."""
        r, s = self._constants()
        low, high = max(0.0, r - 10 * s), r + 10 * s

        def log_density(rho: Tensor) -> Tensor:
            return rho.log() - (rho - r).square() / (2 * s**2)

        device = self.log_radius.device
        table = tabulate(log_density, low, high, cells_for(low, high, s), device)
        u = uniform(n, 2, self.log_radius, generator)
        rho, angle = table.quantile(u[:, 0]), 2 * math.pi * u[:, 1]
        x = torch.stack([rho * angle.cos(), rho * angle.sin()], dim=1)
        return x.to(self.log_radius.dtype)

    def _constants(self) -> tuple[float, float]:
        return math.exp(exactly(self.log_radius)), math.exp(exactly(self.log_width))
