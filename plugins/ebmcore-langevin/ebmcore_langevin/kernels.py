"""Unadjusted Langevin: x' = x - η ∇E(x) + √(2ηT) ξ,  ξ ~ N(0, I).

The Euler-Maruyama step of dx = -∇E dt + √(2T) dW, whose stationary law is exp(-E/T). Biased for
η > 0: on E = x²/(2s²) at T = 1 the stationary variance is s²/(1 - η/(2s²)).
Source: Roberts and Tweedie 1996, "Exponential convergence of Langevin distributions and their
discrete approximations" (the unadjusted algorithm, ULA).
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import (
    Energy,
    Kernel,
    NonNegativeFloat,
    PositiveFloat,
    StepSize,
    energy_and_score,
    root,
    value_of,
)


class LangevinState(NamedTuple):
    """The state of the chains."""

    x: Tensor  # (chains, *event)


class DecayingState(NamedTuple):
    """The state of the chains when the step size decays."""

    x: Tensor  # (chains, *event)
    taken: Tensor  # (chains,), integer: the steps taken since the run of the kernel began


class LangevinInfo(NamedTuple):
    """Diagnostics of one step, which monitors may log."""

    energy: Tensor  # (chains,), nats, where the step began
    score_norm: Tensor  # (chains,), nats per unit of x, where the step began, before it is clipped
    step_ratio: Tensor  # (chains,), ‖η·score‖ (as clipped) over √(2ηTd), the noise's size


class Langevin(Kernel):
    """Unadjusted Langevin dynamics: x' = x - η ∇E(x) + √(2ηT) ξ.

    Samples exp(-E/T) with a bias that vanishes as η does. One gradient of the energy a step. With
    a decay, step t of a run has η = step_size·(1 + t)^(-decay), t = 0, 1, …; a run is one call of
    the sampler, so in training every training step begins at t = 0 again. A decay in (0.5, 1]
    makes Σ η infinite and Σ η² finite, which removes the bias in the limit of a long run.

    The info is of each chain where the step began: `energy`, `score_norm`, and `step_ratio`, the
    size of the step's gradient part over that of its noise, ‖η·score‖ / √(2ηTd) for events of d
    numbers: far under 1 the chain is a random walk, far over 1 it descends. It is infinite at
    temperature 0 (NaN where the score is 0, too).

    Args:
        step_size: η, in squared units of x for each nat; `auto`: the run fits it to the data's
            local spread ℓ, η = ℓ²/(4T), and then to the energy's curvature κ along the chains,
            η = 1/(4κ), an eighth of what is stable.
        temperature: T; 1 samples exp(-E). The noise of a step has standard deviation √(2ηT).
        clip_score: Bound on each element of the score, in nats per unit of x; null sets none. The
            law is wider than exp(-E/T) where the bound is reached: with a bound of 1 on N(0, 1),
            2.2 times the variance.
        bounds: Lowest and highest value that x may take, such as [0, 1]; null sets none. The steps
            that lead out end on the border, which so gets a share of the points.
        decay: Power of the steps' decay within one run of the sampler; 0 keeps η fixed.

    Raises ValueError when the lower bound isn't below the upper one.
    Source: Roberts and Tweedie 1996; clipped scores as in Du and Mordatch 2019; decaying steps as
    in Welling and Teh 2011, "Bayesian learning via stochastic gradient Langevin dynamics", whose
    a(b + t)^(-γ) this is at b = 1.
    """

    takes_step_size = True

    def __init__(
        self,
        step_size: PositiveFloat | Literal["auto"] = 0.01,
        *,
        temperature: NonNegativeFloat = 1.0,
        clip_score: PositiveFloat | None = None,
        bounds: tuple[float, float] | None = None,
        decay: NonNegativeFloat = 0.0,
    ) -> None:
        if step_size == "auto" and temperature == 0:
            raise ValueError("step_size: auto needs a temperature above 0; give a number")
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"bounds should be [lowest, highest]; got {list(bounds)}")
        self.step_size: float | StepSize = StepSize() if step_size == "auto" else step_size
        self.temperature = temperature
        self.clip_score = clip_score
        self.bounds = bounds
        self.decay = decay
        shaped = clip_score is not None or bounds is not None  # not exp(-E/T), however small η is
        self.implied_temperature = None if shaped else temperature
        reasons = {
            f"its scores are clipped to ±{clip_score} (clip_score)": clip_score is not None,
            f"its chains are held in {list(bounds or ())} (bounds)": bounds is not None,
            "its step size decays within a run (decay)": decay > 0,
        }
        self.unknown_law = ", ".join(reason for reason, holds in reasons.items() if holds)

    def stationary_variance(self, scale: float) -> float | None:
        """Return T s²/(1 - η/(2s²)), the stationary variance on E(x) = x²/(2s²), s = scale.

        Infinite where the step is too large for a stationary density; None with clipped scores,
        bounds or a decay, where it is not known. `ebmcore.testing` compares the kernel with it.
        """
        if self.unknown_law:
            return None
        share = float(self.step_size) / (2 * scale**2)
        return self.temperature * scale**2 / (1 - share) if share < 1 else math.inf

    def step_for(self, spread: Any) -> Any:
        """Return s²/(2T): with a larger η no Gaussian energy gives chains as narrow as s.

        Of E = x²/(2u) they have the variance Tu²/(u - η/2), which is least, 2ηT, at u = η.
        """
        return spread**2 / (2 * self.temperature) if self.temperature else math.inf

    def stable_step(self, curvature: Any) -> Any:
        """Return 2/κ: x' = (1 - ηκ)x grows beyond it on E = ½κx²."""
        return 2 / curvature

    def init(self, energy: Energy, x: Tensor) -> LangevinState | DecayingState:
        """Begin at x."""
        if self.decay == 0:
            return LangevinState(x)
        return DecayingState(x, torch.zeros(len(x), dtype=torch.int64, device=x.device))

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor]:
        """Draw ξ ~ N(0, I), of x's shape."""
        return (torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),)

    def step(
        self, energy: Energy, state: LangevinState | DecayingState, noise: tuple[Tensor, ...]
    ) -> tuple[LangevinState | DecayingState, LangevinInfo]:
        """Take one step."""
        values, score = energy_and_score(energy, state.x)
        norm = moved_norm = _norm(score)
        if self.clip_score is not None:
            score = score.clamp(-self.clip_score, self.clip_score)
            moved_norm = _norm(score)
        step_size = value_of(self.step_size)
        if isinstance(state, DecayingState):
            sizes = self._decayed(state)
            size = sizes.view(-1, *(1 for _ in state.x.shape[1:]))
            x = state.x + size * score + (2 * size * self.temperature).sqrt() * noise[0]
            ratio = moved_norm * self._ratio(state.x) * sizes.sqrt()
        else:
            spread = root(2 * step_size * self.temperature)
            x = state.x + step_size * score + spread * noise[0]
            ratio = moved_norm * (self._ratio(state.x) * root(step_size))
        if self.bounds is not None:
            x = x.clamp(*self.bounds)
        info = LangevinInfo(values, norm, ratio)
        if isinstance(state, DecayingState):
            return DecayingState(x, state.taken + 1), info
        return LangevinState(x), info

    def _decayed(self, state: DecayingState) -> Tensor:
        """Return η of each chain's next step, (chains,)."""
        return (state.taken + 1).to(state.x.dtype).pow(-self.decay) * value_of(self.step_size)

    def _ratio(self, x: Tensor) -> float:
        """Return 1/√(2Td), which times ‖score‖·√η is the step ratio."""
        if self.temperature == 0:
            return math.inf
        return 1 / math.sqrt(2 * self.temperature * x.shape[1:].numel())


def _norm(score: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(score.flatten(1), dim=1)
    return norm
