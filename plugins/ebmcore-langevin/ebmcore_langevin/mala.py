"""Metropolis-adjusted Langevin: x' = x - η ∇E(x) + √(2ηT) ξ, kept with min(1, r), else x.

With p ∝ exp(-E/T) and q(x'|x) = N(x'; x - η ∇E(x), 2ηT I), r = p(x') q(x|x') / (p(x) q(x'|x)).
The noise that would lead back from x' to x is -ξ' with ξ' = ξ + √(η/(2T)) (s(x) + s(x')), so that
log r = (E(x) - E(x'))/T + ½‖ξ‖² - ½‖ξ'‖². Unbiased for every η.
With a warm-up the same in x/√v, v the variances of x: x' = x - η v ∇E(x) + √(2ηTv) ξ.
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
    Adapted,
    Carried,
    Energy,
    Kernel,
    NonNegativeInt,
    PositiveFloat,
    Probability,
    StepSize,
    WarmUp,
    energy_and_score,
    root,
    value_of,
)


class MALAState(NamedTuple):
    """The state of the chains; it keeps energy and score at x, so that a step is one gradient."""

    x: Tensor  # (chains, *event)
    energy: Tensor  # (chains,), nats, at x
    score: Tensor  # (chains, *event), nats per unit of x, at x


class WarmMALAState(NamedTuple):
    """The state with a warm-up: from `step_size` on, the fields of `ebmcore.Adapted`."""

    x: Tensor  # (chains, *event)
    energy: Tensor  # (chains,), nats, at x
    score: Tensor  # (chains, *event), nats per unit of x, at x
    step_size: Tensor  # (chains,), √(2η)
    log_mean: Tensor  # (chains,), log of its average, of the dual averaging
    shortfall: Tensor  # (chains,), its H̄
    centre: Tensor  # (chains,), its μ
    taken: Tensor  # (chains,), int64, the steps taken, over the runs
    scale: Tensor  # (chains, d), √v
    points: Tensor  # (chains,), the points in this window
    mean: Tensor  # (chains, d), their mean
    squares: Tensor  # (chains, d), the sum of their squares about it
    recent: Tensor  # (chains,), each chain's acceptance of late


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

    A proposal with an energy or a score that isn't finite is never kept; a chain that begins at
    an energy that isn't finite stays there, and the info's `energy` shows it. MALA does not take
    `bounds`: clamped proposals lie on the border, where the proposal has no density, so no ratio r
    keeps detailed balance.

    No step of a useful η crosses from well to well of a deep energy. With `leaps` some proposals
    are x + s ξ instead, without a gradient, s as large as the wells are apart: in few dimensions
    enough of them end in another well for the wells' shares to be right, still without a bias.

    With `warm_up`, η and the variances v of x are adapted in the chains' first `warm_up` steps, for
    all chains at once, and then stay: Stan's windows, as `ebmcore.WarmUp` has them, of √(2η).
    Meanwhile exp(-E/T) is not exactly invariant: drop these steps (the burn_in of `sample_chain`).
    Chains that remember (`chains: persistent`) carry what was adapted between training steps.

    The info is of each chain: `energy`, `score_norm` and `step_ratio` as of `langevin`, the
    `acceptance` min(1, r), and `accepted`, 1 or 0. With a warm-up, `step_ratio` is that of x/√v.

    Args:
        step_size: η, in squared units of x for each nat; with a warm-up, its first value. `auto`:
            the run fits it to the data's local spread and then to `target_acceptance`, but not
            within a run of the kernel, which so keeps its law; it needs warm_up: 0.
        temperature: T; 1 samples exp(-E). The noise of a step has standard deviation √(2ηT).
        warm_up: The first steps of the chains, in which η and v are adapted; 0 keeps η, and v = 1.
        target_acceptance: The mean acceptance that the warm-up or `auto` aims at, between 0 and 1.
        leaps: Probability that a chain's proposal is a leap; not with `auto` or a warm-up, whose
            aim leaps would miss.
        leap_size: s, the standard deviation of a leap, in units of x.

    Raises ValueError when target_acceptance is 0 or 1, and when two of `auto`, a warm-up and leaps
    meet.
    Source: Besag 1994; Roberts and Tweedie 1996; the best acceptance: Roberts and Rosenthal 2001,
    "Optimal scaling for various Metropolis-Hastings algorithms".
    """

    takes_step_size = True
    unbiased = True  # on any energy, but in a warm-up

    def __init__(
        self,
        step_size: PositiveFloat | Literal["auto"] = 0.01,
        *,
        temperature: PositiveFloat = 1.0,
        warm_up: NonNegativeInt = 0,
        target_acceptance: Probability = 0.57,
        leaps: Probability = 0.0,
        leap_size: PositiveFloat = 1.0,
    ) -> None:
        if not 0 < target_acceptance < 1:
            raise ValueError(
                f"target_acceptance should lie between 0 and 1; got {target_acceptance}"
            )
        if step_size == "auto" and warm_up:
            raise ValueError("step_size: auto and warm_up both adapt the step; give one of them")
        if leaps and (step_size == "auto" or warm_up):
            raise ValueError("leaps need a step_size that isn't adapted; got auto or a warm_up")
        self.leaps = leaps
        self.leap_size = leap_size
        self.step_size: float | StepSize = StepSize() if step_size == "auto" else step_size
        self.warm_up = warm_up
        self.target_acceptance = target_acceptance
        self.temperature = temperature
        self.implied_temperature = temperature
        self.unknown_law = "the chains adapt their steps, unless warm_up is 0" * bool(warm_up)
        self.adaptation = WarmUp(warm_up, target=target_acceptance)
        self.carries = Adapted._fields if warm_up else ()

    def stationary_variance(self, scale: float) -> float | None:
        """Return T s², the stationary variance on E(x) = x²/(2s²), s = scale: unbiased.

        None with a warm-up, in which exp(-E/T) is not exactly invariant.
        """
        return None if self.warm_up else self.temperature * scale**2

    def step_for(self, spread: Any) -> Any:
        """Return s²/(2T), as `langevin` does: here a larger η is only slower."""
        return spread**2 / (2 * self.temperature)

    def init(
        self, energy: Energy, x: Tensor, carried: Carried | None = None
    ) -> MALAState | WarmMALAState:
        """Begin at x, with what the chains carry of a warm-up."""
        begun = MALAState(x, *energy_and_score(energy, x))
        if not self.warm_up:
            return begun
        size = math.sqrt(2 * float(self.step_size))
        return WarmMALAState(*begun, *self.adaptation.begin(x, carried, size))

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw ξ ~ N(0, I), of x's shape, and for each chain a uniform number, with leaps two."""
        like: Any = {"generator": generator, "device": x.device, "dtype": x.dtype}
        numbers = (torch.rand(len(x), **like) for _ in range(2 if self.leaps else 1))
        return (torch.randn(x.shape, **like), *numbers)

    def step(
        self, energy: Energy, state: MALAState | WarmMALAState, noise: tuple[Tensor, ...]
    ) -> tuple[MALAState | WarmMALAState, MALAInfo]:
        """Propose one step, and keep it or not."""
        if isinstance(state, MALAState):
            return self._proposed(energy, state, noise, value_of(self.step_size))
        size = (state.step_size.square() / 2).view(-1, *(1 for _ in state.x.shape[1:]))
        begun, scale = MALAState(*state[:3]), state.scale.view(state.x.shape)
        moved, info = self._proposed(energy, begun, noise, size, scale)
        ok = moved.energy.isfinite()
        now = Adapted(*state[3:])
        adapted = self.adaptation.after(now, moved.x, info.acceptance, ok, moved.score)
        return WarmMALAState(*moved, *adapted), info

    def _proposed(
        self,
        energy: Energy,
        state: MALAState,
        noise: tuple[Tensor, ...],
        step_size: float | Tensor,
        scale: Tensor | None = None,
    ) -> tuple[MALAState, MALAInfo]:
        """Propose a step of size η in x/√v, and keep it or not; scale is √v, by default 1."""

        def scaled(part: Tensor) -> Tensor:
            return part if scale is None else scale * part

        xi, uniform, *kind = noise
        beside = (-1, *(1 for _ in xi.shape[1:]))  # one number for each chain, to events
        spread = root(2 * step_size * self.temperature)
        slope = scaled(state.score)
        x = state.x + scaled(step_size * slope) + scaled(spread * xi)
        leaps = kind[0] < self.leaps if kind else None
        if leaps is not None:
            x = torch.where(leaps.view(beside), state.x + self.leap_size * xi, x)
        values, score = energy_and_score(energy, x)
        back = xi + (step_size / spread) * (slope + scaled(score))
        log_q = 0.5 * (xi.square() - back.square()).flatten(1).sum(1)
        if leaps is not None:
            log_q = torch.where(leaps & log_q.isfinite(), 0.0, log_q)
        log_ratio = (state.energy - values) / self.temperature + log_q
        acceptance = torch.where(log_ratio.isfinite(), log_ratio.clamp(max=0).exp(), 0.0)
        accepted = uniform < acceptance
        each = accepted.view(beside)
        norm: Tensor = torch.linalg.vector_norm(state.score.flatten(1), dim=1)
        pushed = norm if scale is None else torch.linalg.vector_norm(slope.flatten(1), dim=1)
        share = step_size / (spread * math.sqrt(x.shape[1:].numel()))
        ratio = pushed * (share.flatten() if isinstance(share, Tensor) else share)
        info = MALAInfo(state.energy, norm, ratio, acceptance, accepted.to(x.dtype))
        return MALAState(
            torch.where(each, x, state.x),
            torch.where(accepted, values, state.energy),
            torch.where(each, score, state.score),
        ), info
