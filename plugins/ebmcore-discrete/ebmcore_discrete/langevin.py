"""Discrete Langevin proposals: all numbers of an event at once, each by itself.

    q(x' | x) = Πᵢ softmax over v of Δ̃ᵢᵥ/2 - dᵢᵥ²/(2α),  at v = x'ᵢ

Δ̃ᵢᵥ is the change of -E that the gradient at x predicts for xᵢ = v, and dᵢᵥ the distance of that
move: 1 to the other bit, √2 to another category, as one-hot numbers, 0 for staying.
Source: Zhang, Liu and Liu 2022, "A Langevin-like sampler for discrete distributions".
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import Binary, Categorical, Energy, Kernel, PositiveFloat, Space
from ebmcore_discrete.informed import (
    AdjustedInfo,
    UnadjustedInfo,
    Values,
    adjusted,
    choose,
    chosen,
    share_changed,
    wide,
)


class LangevinState(NamedTuple):
    """The state of the chains; it keeps energy and proposals at x: a step is one gradient."""

    x: Tensor  # (chains, *event), bits in the run's dtype or categories as int64
    energy: Tensor  # (chains,), nats, at x
    log_q: Tensor  # (chains, numbers, values), of the proposals at x, float64


class _Langevin(Kernel):
    """The proposal of both samplers."""

    spaces: ClassVar = (Binary, Categorical)

    def __init__(self, step_size: PositiveFloat = 0.2, *, space: Space | None = None) -> None:
        self.step_size = step_size
        self.values = Values(space)

    def init(self, energy: Energy, x: Tensor) -> LangevinState:
        """Begin at x."""
        state: LangevinState = self.values.begin(type(self).__name__.lower(), energy, x, self.at)
        return state

    def at(self, energy: Energy, x: Tensor, dtype: torch.dtype) -> LangevinState:
        """Return the state at x, for an energy of floats of that dtype."""
        values, gains = self.values.gains(energy, x, dtype)
        if self.values.categories is None:
            bits = x.flatten(1)
            gains = torch.stack([bits * gains, (1 - bits) * gains], 2)
        squared = 1 if self.values.categories is None else 2  # distance to another value
        moves = (~self.values.stays(x)).to(wide(x))
        log_q = (gains / 2 - moves * (squared / (2 * self.step_size))).log_softmax(2)
        return LangevinState(x, values, log_q)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw a uniform number for each number of an event, (chains, numbers), float64."""
        shape = (len(x), x[0].numel())
        return (torch.rand(shape, generator=generator, device=x.device, dtype=wide(x)),)

    def propose(
        self, energy: Energy, state: LangevinState, uniform: Tensor
    ) -> tuple[LangevinState, Tensor]:
        """Return the proposed state, and log q(x | x') - log q(x' | x), (chains,)."""
        pick = choose(state.log_q.exp(), uniform)
        x = pick.to(state.x.dtype).reshape(state.x.shape)
        new = self.at(energy, x, state.energy.dtype)
        back = chosen(new.log_q, state.x.flatten(1).long())
        return new, (back - chosen(state.log_q, pick)).sum(1)


class DMALA(_Langevin):
    """Metropolis-adjusted discrete Langevin: all numbers may change at once, or all stay.

    Samples exp(-E) without a bias, whatever the step size. One gradient a step, and one where a run
    begins. A larger step size α changes more numbers a step, and is accepted less often; about
    half of the proposals is a good rate. Categories are differentiated as one-hot numbers, which
    the energy must take, too. A proposal whose energy or gradient isn't finite is never kept.

    The info is of each chain: `energy`, `acceptance`, `accepted`, and `changed`, the share of its
    numbers that the step changed.

    Raises ValueError when the events are categories and the space is not given, or the energy
    doesn't take them one-hot.
    Source: Zhang, Liu and Liu 2022.

    Args:
        step_size: α: without a gradient a bit changes with probability sigmoid(-1/(2α)), a
            category to each other one with odds of exp(-1/α).
        space: (runtime) The set that events live in; by default binary.
    """

    implied_temperature = 1.0

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw the proposal's uniform numbers, (chains, numbers), and the test's, (chains,)."""
        proposal = super().noise(x, generator)
        test = torch.rand(len(x), generator=generator, device=x.device, dtype=wide(x))
        return (*proposal, test)

    def step(
        self, energy: Energy, state: LangevinState, noise: tuple[Tensor, ...]
    ) -> tuple[LangevinState, AdjustedInfo]:
        """Propose new values of all numbers, and keep them or not."""
        new, log_q = self.propose(energy, state, noise[0])
        end, acceptance, kept = adjusted(state, new, log_q, noise[1])
        dtype = state.energy.dtype
        share = share_changed(state.x, end.x, dtype)
        return end, AdjustedInfo(state.energy, acceptance.to(dtype), kept.to(dtype), share)


class DULA(_Langevin):
    """Unadjusted discrete Langevin: all numbers are drawn anew at once, each by itself.

    Its law is exp(-E) only as the step size α goes to 0: numbers that depend on each other change
    together. `dmala` takes the same steps and rejects some, which has no bias. One gradient a step,
    and one where a run begins. Categories are differentiated as one-hot numbers, which the energy
    must take, too.

    The info is of each chain: `energy`, and `changed`, the share of its numbers that the step
    changed.

    Raises ValueError when the events are categories and the space is not given, or the energy
    doesn't take them one-hot.
    Source: Zhang, Liu and Liu 2022.

    Args:
        step_size: α: without a gradient a bit changes with probability sigmoid(-1/(2α)), a
            category to each other one with odds of exp(-1/α).
        space: (runtime) The set that events live in; by default binary.
    """

    unknown_law = "its steps aren't adjusted, so its law differs from exp(-E) by the step size"

    def step(
        self, energy: Energy, state: LangevinState, noise: tuple[Tensor, ...]
    ) -> tuple[LangevinState, UnadjustedInfo]:
        """Take new values of all numbers."""
        new, _ = self.propose(energy, state, noise[0])
        share = share_changed(state.x, new.x, state.energy.dtype)
        return new, UnadjustedInfo(state.energy, share)
