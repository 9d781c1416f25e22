"""Rastrigin's function: a bowl with a well at every integer."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore import PositiveFloat
from ebmcore_analytic.analytic import Analytic, exactly, normal, uniform
from ebmcore_analytic.constants import log_of


class Rastrigin(Analytic):
    """E(x) = Σᵢ xᵢ² + A (1 - cos 2πxᵢ) over the flattened event; 0 at x = 0, its minimum.

    The coordinates are independent. With exp(A cos θ) = I₀(A) + 2 Σₖ Iₖ(A) cos kθ (DLMF 10.35.2)
    and ∫ exp(-x²) cos 2πkx dx = √π exp(-π²k²), each has

        Z = √π e⁻ᴬ [I₀(A) + 2 Σₖ Iₖ(A) exp(-π²k²)],

    of which the terms after k = 1 are below float64's rounding (exp(-4π²) = 7e-18). Samples
    are exact, by rejection: x ~ N(0, ½), kept with probability exp(-A (1 - cos 2πx)), which for
    large A is 1/√(2πA) on average. `learnable` trains log A.

    Shapes: x (batch, *event_shape), any -> (batch,), nats.
    Source: Rastrigin 1974, "Systems of extremal control", for two coordinates; for any number
    Mühlenbein, Schomisch and Born 1991, "The parallel genetic algorithm as function optimizer".

    Args:
        amplitude: A, half the height of the ripples in nats.
        learnable: Whether the amplitude is trained, or fixed.
        event_shape: (runtime) Shape of one event.
    """

    name = "rastrigin"
    log_amplitude: Tensor  # ()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        amplitude: PositiveFloat = 10.0,
        learnable: bool = False,
    ) -> None:
        super().__init__(event_shape)
        self.hold(learnable, log_amplitude=log_of("amplitude", amplitude))

    def energy(self, x: Tensor) -> Tensor:
        """Return the energies of flattened events, (batch, features) -> (batch,)."""
        ripples = 1 - (2 * math.pi * x).cos()
        return (x.square() + self.log_amplitude.exp() * ripples).sum(1)

    @property
    def log_z(self) -> float:
        """The number of coordinates times the log of the series, in nats."""
        amplitude = exactly(self.log_amplitude).exp()
        # i0e and i1e are I₀ and I₁ times e⁻ᴬ
        wave = 2 * math.exp(-(math.pi**2)) * torch.special.i1e(amplitude)
        series = torch.special.i0e(amplitude) + wave
        return self.features * (0.5 * math.log(math.pi) + float(series.log()))

    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n flattened events, (n, features)."""
        like = self.log_amplitude
        amplitude = like.double().exp()
        x = torch.zeros(n * self.features, dtype=torch.float64, device=like.device)
        missing = torch.arange(len(x), device=like.device)
        while len(missing):
            proposed = math.sqrt(0.5) * normal(len(missing), 1, x, generator)[:, 0]
            chance = (amplitude * ((2 * math.pi * proposed).cos() - 1)).exp()
            kept = uniform(len(missing), 1, x, generator)[:, 0] < chance
            x[missing[kept]] = proposed[kept]
            missing = missing[~kept]
        return x.reshape(n, self.features).to(like.dtype)
