"""Neal's funnel."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat
from ebmcore_analytic.analytic import Analytic, exactly, normal
from ebmcore_analytic.constants import log_of


class Funnel(Analytic):
    """E(v, x) = v²/(2 scale²) + Σᵢ (xᵢ² e⁻ᵛ + v) / 2: v ~ N(0, scale²), then xᵢ ~ N(0, eᵛ).

    v is the first number of the flattened event, x₁ … x_{d-1} the others. log Z = log(scale √(2π))
    + (d - 1) log √(2π). Samples are exact, v first. Hard for kernels with one step size: the
    width of x varies by factors of e^(2 scale) and more. `learnable` trains the log of the scale.

    Shapes: x (batch, *event_shape), two numbers or more -> (batch,), nats. Raises ValueError when
    an event has only one.
    Source: Neal 2003, "Slice sampling": v of standard deviation 3 and nine x.

    Args:
        scale: Standard deviation of v.
        learnable: Whether the scale is trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "funnel"
    check_event_shapes = ((2,), (5, 2))
    log_scale: Tensor  # ()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        scale: PositiveFloat = 3.0,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        if self.features < 2:
            raise ValueError(f"takes events of two numbers or more; got shape {self.event_shape}")
        self.hold(learnable, log_scale=log_of("scale", scale))

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        v, others = x[:, 0], x[:, 1:]
        neck = 0.5 * (v * (-self.log_scale).exp()).square()
        return neck + 0.5 * (others.square().sum(1) * (-v).exp() + (self.features - 1) * v)

    @property
    def log_z(self) -> float:
        """Log(scale √(2π)) + (d - 1) log √(2π), in nats."""
        return float(exactly(self.log_scale)) + self.features / 2 * math.log(2 * math.pi)

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, features)."""
        noise = normal(n, self.features, self.log_scale, generator)
        v = self.log_scale.exp() * noise[:, :1]
        return torch.cat([v, (v / 2).exp() * noise[:, 1:]], dim=1)
