"""Metropolis-adjusted Langevin: x' = x - η ∇E(x) + √(2ηT) ξ, kept with min(1, r), else x.

With p ∝ exp(-E/T) and q(x'|x) = N(x'; x - η ∇E(x), 2ηT I), r = p(x') q(x|x') / (p(x) q(x'|x)).
The noise that would lead back from x' to x is -ξ' with ξ' = ξ + √(η/(2T)) (s(x) + s(x')), so that
log r = (E(x) - E(x'))/T + ½‖ξ‖² - ½‖ξ'‖². Unbiased for every η.
With probability `leaps` the proposal is x' = x + s ξ, symmetric, so that r = p(x') / p(x).
Source: Besag 1994, who proposed it; Roberts and Tweedie 1996, "Exponential convergence of Langevin
distributions and their discrete approximations", who named it and showed when it converges. Leaps:
Guan, Fleißner, Joyce and Krone 2006, "Markov chain Monte Carlo in small worlds".
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import (
    Energy,
    Kernel,
    PositiveFloat,
    Probability,
    StepSize,
    energy_and_score,
    root,
    value_of,
)


class MALAState(NamedTuple):
    """The state of the chains; it keeps energy and score at x, so that a step is one gradient."""

    x: Tensor  # (chains, *event)
    energy: Tensor  # (chains,), nats, at x
    score: Tensor  # (chains, *event), nats per unit of x, at x


class MALAInfo(NamedTuple):
    """Diagnostics of one step, which monitors may log."""

    energy: Tensor  # (chains,), nats, where the step began
    score_norm: Tensor  # (chains,), nats per unit of x, where the step began
    step_ratio: Tensor  # (chains,), ‖η·score‖ over √(2ηTd), the noise's size
    acceptance: Tensor  # (chains,), the probability of keeping the proposal
    accepted: Tensor  # (chains,), 1 where it was kept, 0 where not


class MALA(Kernel):
    """Metropolis-adjusted Langevin: the step of `langevin`, kept with min(1, r), else x stays.

    r = p(x') q(x|x') / (p(x) q(x'|x)) for p ∝ exp(-E/T) and the proposal's density q, so that it
    samples exp(-E/T) without a bias, whatever η. One gradient of the energy a step, and one where
    a run begins. In many dimensions it works best when about 0.57 of the proposals are kept.

    No step of a useful η crosses from well to well of a deep energy. With `leaps` some proposals
    are x + s ξ instead, without a gradient, s as large as the wells are apart: in few dimensions
    enough of them end in another well for the wells' shares to be right, still without a bias.

    A proposal with an energy or a score that isn't finite is never kept; a chain that begins at
    an energy that isn't finite stays there, and the info's `energy` shows it. MALA does not take
    `bounds`: clamped proposals lie on the border, where the proposal has no density, so no ratio r
    keeps detailed balance.

    The info is of each chain: `energy`, `score_norm` and `step_ratio` as of `langevin`, the
    `acceptance` min(1, r), and `accepted`, 1 or 0.

    Args:
        step_size: η, in squared units of x for each nat; `auto`: the run fits it to the data's
            local spread and then to `target_acceptance`, but not within a run of the kernel,
            which so keeps its law.
        temperature: T; 1 samples exp(-E). The noise of a step has standard deviation √(2ηT).
        target_acceptance: The mean acceptance that `auto` aims at, between 0 and 1.
        leaps: Probability that a chain's proposal is a leap; not with `auto`, whose aim they miss.
        leap_size: s, the standard deviation of a leap, in units of x.

    Raises ValueError when target_acceptance is 0 or 1, and with leaps at `auto`.
    Source: Besag 1994; Roberts and Tweedie 1996; the best acceptance: Roberts and Rosenthal 2001,
    "Optimal scaling for various Metropolis-Hastings algorithms".
    """

    takes_step_size = True
    unbiased = True  # on any energy: ebmcore.testing compares it on more than Gaussians

    def __init__(
        self,
        step_size: PositiveFloat | Literal["auto"] = 0.01,
        *,
        temperature: PositiveFloat = 1.0,
        target_acceptance: Probability = 0.57,
        leaps: Probability = 0.0,
        leap_size: PositiveFloat = 1.0,
    ) -> None:
        if not 0 < target_acceptance < 1:
            raise ValueError(
                f"target_acceptance should lie between 0 and 1; got {target_acceptance}"
            )
        if leaps and step_size == "auto":
            raise ValueError("leaps need a step_size of their own beside them; got auto")
        self.leaps = leaps
        self.leap_size = leap_size
        self.step_size: float | StepSize = StepSize() if step_size == "auto" else step_size
        self.target_acceptance = target_acceptance
        self.temperature = temperature
        self.implied_temperature = temperature

    def stationary_variance(self, scale: float) -> float:
        """Return T s², the stationary variance on E(x) = x²/(2s²), s = scale: unbiased."""
        return self.temperature * scale**2

    def step_for(self, spread: Any) -> Any:
        """Return s²/(2T), as `langevin` does: here a larger η is only slower."""
        return spread**2 / (2 * self.temperature)

    def init(self, energy: Energy, x: Tensor) -> MALAState:
        """Begin at x."""
        return MALAState(x, *energy_and_score(energy, x))

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw ξ ~ N(0, I), of x's shape, and for each chain a uniform number, with leaps two."""
        like: Any = {"generator": generator, "device": x.device, "dtype": x.dtype}
        numbers = (torch.rand(len(x), **like) for _ in range(2 if self.leaps else 1))
        return (torch.randn(x.shape, **like), *numbers)

    def step(
        self, energy: Energy, state: MALAState, noise: tuple[Tensor, ...]
    ) -> tuple[MALAState, MALAInfo]:
        """Propose one step, and keep it or not."""
        xi, uniform, *kind = noise
        beside = (-1, *(1 for _ in xi.shape[1:]))  # one number for each chain, to events
        step_size = value_of(self.step_size)
        spread = root(2 * step_size * self.temperature)
        x = state.x + step_size * state.score + spread * xi
        leaps = kind[0] < self.leaps if kind else None
        if leaps is not None:
            x = torch.where(leaps.view(beside), state.x + self.leap_size * xi, x)
        values, score = energy_and_score(energy, x)
        back = xi + (step_size / spread) * (state.score + score)
        log_q = 0.5 * (xi.square() - back.square()).flatten(1).sum(1)
        if leaps is not None:
            log_q = torch.where(leaps & log_q.isfinite(), 0.0, log_q)
        log_ratio = (state.energy - values) / self.temperature + log_q
        acceptance = torch.where(log_ratio.isfinite(), log_ratio.clamp(max=0).exp(), 0.0)
        accepted = uniform < acceptance
        each = accepted.view(beside)
        norm: Tensor = torch.linalg.vector_norm(state.score.flatten(1), dim=1)
        ratio = norm * (step_size / (spread * math.sqrt(x.shape[1:].numel())))
        info = MALAInfo(state.energy, norm, ratio, acceptance, accepted.to(x.dtype))
        return MALAState(
            torch.where(each, x, state.x),
            torch.where(accepted, values, state.energy),
            torch.where(each, score, state.score),
        ), info
