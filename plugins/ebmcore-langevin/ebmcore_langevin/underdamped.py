"""Underdamped Langevin, the BAOAB splitting: a momentum p ~ N(0, T I) that friction forgets slowly.

One step, with c = exp(-γh) and ξ ~ N(0, I):

    B: p ← p - ½h ∇E(x)    A: x ← x + ½h p    O: p ← c p + √((1 - c²)T) ξ    A again    B again

Each letter is an exact solution of a part of dx = p dt, dp = -∇E dt - γp dt + √(2γT) dW, whose
stationary law is exp(-(E(x) + ½‖p‖²)/T). Biased for h > 0, by O(h²), but not in x on Gaussians: on
E = x²/(2s²) the stationary variance of x is Ts² for every h < 2s, that of p is T(1 - h²/(4s²)).
Source: Leimkuhler and Matthews 2013, "Rational construction of stochastic numerical methods for
molecular sampling".
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import (
    Carried,
    Energy,
    Kernel,
    PositiveFloat,
    StepSize,
    energy_and_score,
    root,
    value_of,
)


class UnderdampedState(NamedTuple):
    """The state of the chains; it keeps energy and score at x, so that a step is one gradient."""

    x: Tensor  # (chains, *event)
    momentum: Tensor  # (chains, *event), of x's units for each unit of time: the mass is 1
    energy: Tensor  # (chains,), nats, at x
    score: Tensor  # (chains, *event), nats per unit of x, at x


class UnderdampedInfo(NamedTuple):
    """Diagnostics of one step, which monitors may log."""

    energy: Tensor  # (chains,), nats, where the step began
    score_norm: Tensor  # (chains,), nats per unit of x, where the step began
    kinetic_temperature: Tensor  # (chains,), ‖p‖²/d where the step began; near T if h is small


class Underdamped(Kernel):
    """Underdamped Langevin dynamics (BAOAB): chains with a momentum that outlives a run.

    Samples exp(-E/T) with a bias that vanishes as h² does, and without one on Gaussians (h < 2s).
    One gradient of the energy a step, and one where a run begins. A momentum carries a chain about
    1/γ along its way before friction has forgotten it: with a small γ chains travel far in few
    steps, with a large one they walk as those of `langevin` with η = ½h² do.

    Chains that remember (`chains: persistent`) keep each chain's momentum from one training step to
    the next, so that short runs are one long run, bit for bit. A chain that begins anew draws
    p ~ N(0, T I).

    The info is of each chain where the step began: `energy`, `score_norm`, `kinetic_temperature`.

    Args:
        step_size: h, in units of x (the mass is 1); stable under 2s on a Gaussian of scale s.
            `auto`: the run fits it to the data's local spread ℓ, h = ℓ/√T, and then to the
            energy's curvature κ along the chains, h = 1/√κ.
        friction: γ; the share of the momentum that a step keeps is exp(-γh).
        temperature: T; 1 samples exp(-E).

    Source: Leimkuhler and Matthews 2013.
    """

    carries = ("momentum",)
    takes_step_size = True
    # for `ebmcore check`: friction that forgets new momenta within the steps of a check
    check_params: ClassVar = {"friction": 10.0}
    expected_failures: ClassVar = {
        "stationary_on_two_wells": "off Gaussians it has a bias of O(h²), and h is large there"
    }

    def __init__(
        self,
        step_size: PositiveFloat | Literal["auto"] = 0.1,
        *,
        friction: PositiveFloat = 1.0,
        temperature: PositiveFloat = 1.0,
    ) -> None:
        self.step_size: float | StepSize = StepSize() if step_size == "auto" else step_size
        self.friction = friction
        self.temperature = temperature
        self.implied_temperature = temperature

    def stationary_variance(self, scale: float) -> float | None:
        """Return T s², the stationary variance on E(x) = x²/(2s²), s = scale; infinite for h ≥ 2s.

        `ebmcore.testing` compares the kernel with it.
        """
        return self.temperature * scale**2 if float(self.step_size) < 2 * scale else math.inf

    def step_for(self, spread: Any) -> Any:
        """Return 2s/√T: E = x²/(2u) gives the variance Tu, and h < 2√u is stable."""
        return 2 * spread / math.sqrt(self.temperature)

    def stable_step(self, curvature: Any) -> Any:
        """Return 2/√κ, the bound on E = ½κx²."""
        return 2 / curvature**0.5

    def init(
        self, energy: Energy, x: Tensor, generator: Generator | None, carried: Carried
    ) -> UnderdampedState:
        """Begin at x with the momenta that the chains carry, or new ones."""
        spread = math.sqrt(self.temperature)
        p = carried.or_new("momentum", lambda: spread * self.noise(x, generator)[0])
        return UnderdampedState(x, p, *energy_and_score(energy, x))

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor]:
        """Draw ξ ~ N(0, I), of x's shape."""
        return (torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),)

    def step(
        self, energy: Energy, state: UnderdampedState, noise: tuple[Tensor, ...]
    ) -> tuple[UnderdampedState, UnderdampedInfo]:
        """Take one step."""
        step_size = value_of(self.step_size)
        half, decay = 0.5 * step_size, -self.friction * step_size
        kept = decay.exp() if isinstance(decay, Tensor) else math.exp(decay)
        p = state.momentum + half * state.score
        x = state.x + half * p
        p = kept * p + root((1 - kept**2) * self.temperature) * noise[0]
        x = x + half * p
        values, score = energy_and_score(energy, x)
        norm: Tensor = torch.linalg.vector_norm(state.score.flatten(1), dim=1)
        heat = state.momentum.square().flatten(1).mean(1)
        return (
            UnderdampedState(x, p + half * score, values, score),
            UnderdampedInfo(state.energy, norm, heat),
        )
