"""Unadjusted Langevin: x' = x - η ∇E(x) + √(2ηT) ξ,  ξ ~ N(0, I).

The Euler-Maruyama step of dx = -∇E dt + √(2T) dW, whose stationary law is exp(-E/T). Biased for
η > 0: on E = x²/(2s²) at T = 1 the stationary variance is s²/(1 - η/(2s²)).
Source: Roberts and Tweedie 1996, "Exponential convergence of Langevin distributions and their
discrete approximations" (the unadjusted algorithm, ULA).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import Energy, Kernel, NonNegativeFloat, PositiveFloat, energy_and_score


class LangevinState(NamedTuple):
    """All that the next step needs."""

    x: Tensor  # (chains, *event)


class LangevinInfo(NamedTuple):
    """What a monitor may log of one step."""

    energy: Tensor  # (chains,), nats, where the step began
    score_norm: Tensor  # (chains,), nats per unit of x, where the step began


class Langevin(Kernel):
    """Unadjusted Langevin dynamics: x' = x - η ∇E(x) + √(2ηT) ξ.

    Samples exp(-E/T) with a bias that vanishes as η does. One gradient of the energy a step.

    Args:
        step_size: η, in squared units of x for each nat.
        temperature: T; 1 samples exp(-E). The noise of a step has standard deviation √(2ηT).
        clip_score: Bound on each element of the score, in nats per unit of x; null sets none.
        bounds: Lowest and highest value that x may take, such as [0, 1]; null sets none.

    Raises ValueError when the lower bound isn't below the upper one.
    Source: Roberts and Tweedie 1996; clipped scores as in Du and Mordatch 2019.
    """

    def __init__(
        self,
        step_size: PositiveFloat = 0.01,
        *,
        temperature: NonNegativeFloat = 1.0,
        clip_score: PositiveFloat | None = None,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"bounds should be [lowest, highest]; got {list(bounds)}")
        self.step_size = step_size
        self.temperature = temperature
        self.clip_score = clip_score
        self.bounds = bounds
        self.implied_temperature = temperature

    def stationary_variance(self, scale: float) -> float | None:
        """Return T s²/(1 - η/(2s²)), the variance of its law on E(x) = x²/(2s²), s = scale.

        Infinite where the step is too large to have a law; None with clipped scores or bounds,
        where it is not known. `ebmcore.testing` holds the kernel against it.
        """
        if self.clip_score is not None or self.bounds is not None:
            return None
        share = self.step_size / (2 * scale**2)
        return self.temperature * scale**2 / (1 - share) if share < 1 else math.inf

    def init(self, energy: Energy, x: Tensor) -> LangevinState:
        """Begin at x."""
        return LangevinState(x)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor]:
        """Draw ξ ~ N(0, I), of x's shape."""
        return (torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),)

    def step(
        self, energy: Energy, state: LangevinState, noise: tuple[Tensor, ...]
    ) -> tuple[LangevinState, LangevinInfo]:
        """Take one step."""
        values, score = energy_and_score(energy, state.x)
        info = LangevinInfo(values, score.flatten(1).norm(dim=1))
        if self.clip_score is not None:
            score = score.clamp(-self.clip_score, self.clip_score)
        spread = math.sqrt(2 * self.step_size * self.temperature)
        x = state.x + self.step_size * score + spread * noise[0]
        if self.bounds is not None:
            x = x.clamp(*self.bounds)
        return LangevinState(x), info
