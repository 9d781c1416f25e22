"""The leapfrog integrator of dx/dt = p/m, dp/dt = -∇E(x): half a kick, drifts and kicks, half.

p ← p + ½ε s(x); then L times x ← x + ε p/m and p ← p + ε s(x), the last kick by ½ε. It keeps
volume, is its own inverse once p is flipped, and errs in the energy H = E(x) + ½ Σ p²/m by O(ε²).
Source: Neal 2011, "MCMC using Hamiltonian dynamics", equations 5.18 to 5.20.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ebmcore import Energy, energy_and_score


class Phase(NamedTuple):
    """A point of phase space, with its energy and score."""

    x: Tensor  # (chains, *event)
    momentum: Tensor  # (chains, *event), of x's units times mass for each unit of time
    energy: Tensor  # (chains,), nats, at x
    score: Tensor  # (chains, *event), nats per unit of x, at x


def leapfrog(
    energy: Energy, start: Phase, *, step_size: Tensor | float, mass: Tensor | float, n_steps: int
) -> Phase:
    """Follow Hamilton's equations from `start` for n_steps, at least 1: n_steps gradients.

    Shapes: step_size and mass are numbers or broadcast against (chains, *event).
    """
    x, momentum, values, score = start
    momentum = momentum + 0.5 * step_size * score
    drift = step_size / mass
    for _ in range(n_steps - 1):
        x = x + drift * momentum
        momentum = momentum + step_size * energy_and_score(energy, x)[1]
    x = x + drift * momentum
    values, score = energy_and_score(energy, x)
    return Phase(x, momentum + 0.5 * step_size * score, values, score)


def kinetic(momentum: Tensor, mass: Tensor | float) -> Tensor:
    """Return ½ Σ p²/m, in nats: (chains, *event) -> (chains,)."""
    return 0.5 * (momentum.square() / mass).flatten(1).sum(1)
