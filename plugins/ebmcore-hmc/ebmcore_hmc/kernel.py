"""Hamiltonian Monte Carlo: fresh momenta, L leapfrog steps, kept with min(1, exp(-ΔH/T)).

H(x, p) = E(x) + ½ Σ p²/m with p ~ N(0, mT), so that exp(-H/T) has exp(-E/T) as its marginal.
Source: Duane, Kennedy, Pendleton and Roweth 1987, "Hybrid Monte Carlo"; Neal 2011, "MCMC using
Hamiltonian dynamics".
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
    PositiveInt,
    Probability,
    StepSize,
    WarmUp,
    energy_and_score,
    value_of,
)
from ebmcore_hmc.integrator import Phase, kinetic, leapfrog

DIVERGED = 1000  # ΔH/T over which a transition counts as divergent, as in Hoffman and Gelman 2014


class HMCState(NamedTuple):
    """The state of the chains; it keeps energy and score at x, so that a step is L gradients.

    From `step_size` on its fields are those of `ebmcore.Adapted`.
    """

    x: Tensor  # (chains, *event)
    energy: Tensor  # (chains,), nats, at x
    score: Tensor  # (chains, *event), nats per unit of x, at x
    mass: Tensor  # (chains, *event), the same for each chain
    step_size: Tensor  # (chains,), ε
    log_mean: Tensor  # (chains,), log ε̄ of the dual averaging
    shortfall: Tensor  # (chains,), its H̄
    centre: Tensor  # (chains,), its μ
    taken: Tensor  # (chains,), int64, the steps taken, over the runs where a warm-up is carried
    scale: Tensor  # (chains, d), 1/√m
    points: Tensor  # (chains,), the points in this window
    mean: Tensor  # (chains, d), their mean
    squares: Tensor  # (chains, d), the sum of their squares about it
    recent: Tensor  # (chains,), each chain's acceptance of late


class HMCInfo(NamedTuple):
    """Diagnostics of one step, which monitors may log."""

    energy: Tensor  # (chains,), nats, where the step began
    score_norm: Tensor  # (chains,), nats per unit of x, where the step began
    acceptance: Tensor  # (chains,), the probability of keeping the proposal
    accepted: Tensor  # (chains,), 1 where it was kept, 0 where not
    divergent: Tensor  # (chains,), 1 where ΔH/T > 1000 or anything isn't finite, else 0
    energy_error: Tensor  # (chains,), ΔH of the integration, nats, finite or not
    step_size: Tensor  # (chains,), the ε that was used


class HMC(Kernel):
    """Hamiltonian Monte Carlo: L leapfrog steps of size ε, kept with min(1, exp(-ΔH/T)).

    Fresh momenta p ~ N(0, mT), then L times x ← x + ε p/m, p ← p - ε ∇E(x), with half a kick
    first and last; ΔH is the change of H = E(x) + ½ Σ p²/m. Samples exp(-E/T) without a bias,
    whatever ε. L gradients of the energy a step, and one where a run begins. A path of L ε near a
    period of the motion, 2π s√m on a Gaussian of scale s, returns to its start: choose another.

    With `warm_up`, ε and the masses are adapted in the chains' first `warm_up` steps, for all
    chains at once, and then stay: Stan's windows, as `ebmcore.WarmUp` has them. Meanwhile exp(-E/T)
    is not exactly invariant: drop these steps (the burn_in of `sample_chain`). Chains that remember
    (`chains: persistent`) carry what was adapted from one training step to the next; others
    begin anew in each run, which is then better off with a fixed ε.

    Divergent transitions (ΔH/T > 1000, or an energy or a score that isn't finite) are never kept;
    the info's `divergent` counts them. A chain that begins at an energy that isn't finite stays
    there, and the info's `energy` shows it.

    Known to fail: on a funnel (Neal 2003: v ~ N(0, 9), nine x ~ N(0, exp(v))) no single ε fits both
    the neck and the mouth. Chains that begin in the mouth hardly ever enter the neck, so that the
    mean of v is too large and its variance too small, although each step leaves the density
    invariant. `divergent` and a low `acceptance` at small v show it; writing x as exp(v/2) z
    removes it.

    The info is of each chain: `energy` and `score_norm` where the step began, `acceptance`,
    `accepted` (1 or 0), `divergent` (1 or 0), `energy_error` (ΔH in nats) and `step_size`.

    Args:
        step_size: ε, in units of x where the mass is 1; with a warm-up, its first value. `auto`:
            between training steps the run fits it to `target_acceptance`; it needs warm_up: 0.
        leapfrog: L, the leapfrog steps, and gradients, of one step.
        temperature: T; 1 samples exp(-E).
        mass: m, one number, or a list with one for each number of an event, in the event's order;
            best near T over the variance of x. With a warm-up, its first value.
        warm_up: The first steps of the chains, in which ε and m are adapted; 0 keeps them.
        target_acceptance: δ, the mean acceptance that the warm-up or `auto` aims at, between 0 and
            1.

    Raises ValueError when target_acceptance is 0 or 1, when `auto` meets a warm-up, and when a list
    of masses doesn't have one for each number of an event.
    Source: Duane et al. 1987; Neal 2011; Hoffman and Gelman 2014, "The No-U-Turn sampler",
    algorithm 5, with L fixed rather than L ε, and with ε₀ given rather than searched for.
    """

    takes_step_size = True
    unbiased = True  # on any energy, but in a warm-up

    def __init__(
        self,
        step_size: PositiveFloat | Literal["auto"] = 0.1,
        *,
        leapfrog: PositiveInt = 10,
        temperature: PositiveFloat = 1.0,
        mass: PositiveFloat | list[PositiveFloat] = 1.0,
        warm_up: NonNegativeInt = 0,
        target_acceptance: Probability = 0.8,
    ) -> None:
        if not 0 < target_acceptance < 1:
            raise ValueError(
                f"target_acceptance should lie between 0 and 1; got {target_acceptance}"
            )
        if step_size == "auto" and warm_up:
            raise ValueError("step_size: auto and warm_up both adapt the step; give one of them")
        self.step_size: float | StepSize = StepSize() if step_size == "auto" else step_size
        self.leapfrog = leapfrog
        self.steps_per_graph = max(1, 20 // leapfrog)  # compiling more gradients takes minutes
        self.temperature = temperature
        self.mass = mass
        self.warm_up = warm_up
        self.target_acceptance = target_acceptance
        self.implied_temperature = temperature
        self.unknown_law = "the chains adapt their steps, unless warm_up is 0" * bool(warm_up)
        self.adaptation = WarmUp(warm_up, target=target_acceptance)
        self.carries = Adapted._fields if warm_up else ()

    def stationary_variance(self, scale: float) -> float | None:
        """Return T s², the variance of its samples on E(x) = x²/(2s²), s = scale: unbiased.

        None with a warm-up, in which exp(-E/T) is not exactly invariant.
        """
        return None if self.warm_up else self.temperature * scale**2

    def step_for(self, spread: Any) -> Any:
        """Return 2s√(m/T), the bound of leapfrog on a Gaussian of scale s; a mean of masses."""
        mass = sum(self.mass) / len(self.mass) if isinstance(self.mass, list) else self.mass
        return 2 * spread * math.sqrt(mass / self.temperature)

    def check(self, energy: Energy, x: Tensor) -> None:
        """Raise ValueError when the masses aren't those of such events."""
        self._masses(x)

    def init(self, energy: Energy, x: Tensor, carried: Carried | None = None) -> HMCState:
        """Begin at x, with what the chains carry of a warm-up."""
        values, score = energy_and_score(energy, x)
        mass, size = self._masses(x), value_of(self.step_size)
        adapted = self.adaptation.begin(x, carried, size, mass.flatten(1).rsqrt())
        if self.warm_up:
            mass = adapted.scale.pow(-2).view(x.shape)
        return HMCState(x, values, score, mass, *adapted)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        """Draw ξ ~ N(0, I), of x's shape, and for each chain a uniform number of [0, 1)."""
        return (
            torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),
            torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype),
        )

    def step(
        self, energy: Energy, state: HMCState, noise: tuple[Tensor, ...]
    ) -> tuple[HMCState, HMCInfo]:
        """Propose the end of a path, and keep it or not."""
        xi, uniform = noise
        wide = (-1, *(1 for _ in state.x.shape[1:]))
        momentum = (state.mass * self.temperature).sqrt() * xi
        start = Phase(state.x, momentum, state.energy, state.score)
        size = state.step_size.view(wide)
        end = leapfrog(energy, start, step_size=size, mass=state.mass, n_steps=self.leapfrog)
        gained = kinetic(end.momentum, state.mass) - kinetic(momentum, state.mass)
        change = end.energy - state.energy + gained
        log_ratio = -change / self.temperature
        divergent = ~(log_ratio.isfinite() & (log_ratio >= -DIVERGED))
        acceptance = torch.where(divergent, 0.0, log_ratio.clamp(max=0).exp())
        accepted = uniform < acceptance
        each = accepted.view(wide)
        norm: Tensor = torch.linalg.vector_norm(state.score.flatten(1), dim=1)
        info = HMCInfo(
            state.energy,
            norm,
            acceptance,
            accepted.to(norm.dtype),
            divergent.to(norm.dtype),
            change,
            state.step_size,
        )
        moved = state._replace(
            x=torch.where(each, end.x, state.x),
            energy=torch.where(accepted, end.energy, state.energy),
            score=torch.where(each, end.score, state.score),
        )
        if not self.warm_up:
            return moved._replace(taken=state.taken + 1), info
        now, ok = Adapted(*state[4:]), moved.energy.isfinite()
        adapted = self.adaptation.after(now, moved.x, acceptance, ok, moved.score)
        mass = adapted.scale.pow(-2).view(state.x.shape)
        return HMCState(*moved[:3], mass, *adapted), info

    def _masses(self, x: Tensor) -> Tensor:
        """Return the masses in x's shape. Raises ValueError when their number differs."""
        if isinstance(self.mass, list):
            event = x.shape[1:]
            if len(self.mass) != event.numel():
                raise ValueError(
                    f"mass should be one number, or one for each of the {event.numel()} numbers of "
                    f"an event of shape {tuple(event)}; got a list of {len(self.mass)}"
                )
            mass = torch.tensor(self.mass, dtype=x.dtype).to(x.device, non_blocking=True)
            return mass.view(event).expand_as(x)
        return x.new_full((), self.mass).expand_as(x)
