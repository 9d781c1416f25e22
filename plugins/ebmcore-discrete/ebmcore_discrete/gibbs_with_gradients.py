"""Gibbs with gradients: one number is given another value, proposed by softmax(Δ̃/2), or stays.

    q(i, v | x) ∝ exp(Δ̃ᵢᵥ / 2),  v ≠ xᵢ,    kept with min(1, r),
    r = exp(E(x) - E(x')) q(i, xᵢ | x') / q(i, v | x)

Δ̃ᵢᵥ estimates the change of -E by the gradient at x. Exact for any estimate, as it is adjusted.
Source: Grathwohl, Swersky, Hashemi, Duvenaud and Maddison 2021, "Oops I took a gradient: scalable
sampling for discrete distributions"; the half in Δ̃/2 is Zanella's 2020 locally balanced proposal.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import Binary, Categorical, Energy, Kernel, Space
from ebmcore_discrete.informed import AdjustedInfo, Values, adjusted, chosen, wide


class ProposalState(NamedTuple):
    """The state of the chains; it keeps the proposals at x: a step is one gradient, one softmax.

    A move is another value of a number: one of each bit, k of each category, whose own has q = 0.
    """

    x: Tensor  # (chains, *event), bits in the run's dtype or categories as int64
    energy: Tensor  # (chains,), nats, at x
    logits: Tensor  # (chains, moves), Δ̃/2: log q but for a constant, float64
    ends: Tensor  # (chains, moves), running sum of the weights exp(logits - the largest)
    log_total: Tensor  # (chains,), log Σ exp(logits)


class GibbsWithGradients(Kernel):
    """Gibbs with gradients: one number changes a step, chosen by the energy's gradient.

    Samples exp(-E) without a bias. One gradient a step, and one where a run begins, whatever the
    number of bits; `gibbs` evaluates the energy twice for each. The number to change and its new
    value are proposed with q(i, v | x) ∝ exp(Δ̃ᵢᵥ/2), Δ̃ the change of -E that the gradient at x
    predicts, and kept with min(1, r).

    Categories are differentiated as one-hot numbers, which the energy must take, too. A proposal
    whose energy or gradient isn't finite is never kept. The info is of each chain: `energy`,
    `acceptance`, `accepted`, and `changed`, the share of its numbers that the step changed.

    Raises ValueError when the events are categories and the space is not given, or the energy
    doesn't take them one-hot.
    Source: Grathwohl et al. 2021.

    Args:
        space: (runtime) The set that events live in; by default binary.
    """

    spaces: ClassVar = (Binary, Categorical)
    implied_temperature = 1.0

    def __init__(self, *, space: Space | None = None) -> None:
        self.values = Values(space)

    def init(self, energy: Energy, x: Tensor) -> ProposalState:
        """Begin at x."""
        state: ProposalState = self.values.begin("gibbs_with_gradients", energy, x, self.at)
        return state

    def at(self, energy: Energy, x: Tensor, dtype: torch.dtype) -> ProposalState:
        """Return the state at x, for an energy of floats of that dtype."""
        values, gains = self.values.gains(energy, x, dtype)
        logits = gains.to(wide(x)) / 2
        if self.values.categories is not None:
            logits = logits.masked_fill(self.values.stays(x), -torch.inf)
        logits = logits.flatten(1)
        largest = logits.amax(1)
        ends = (logits - largest[:, None]).exp().cumsum(1)
        return ProposalState(x, values, logits, ends, largest + ends[:, -1].log())

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        """Draw two uniform numbers a chain, (chains,) each: of the proposal and of its test."""
        first, second = torch.rand((2, len(x)), generator=generator, device=x.device, dtype=wide(x))
        return first, second

    def step(
        self, energy: Energy, state: ProposalState, noise: tuple[Tensor, ...]
    ) -> tuple[ProposalState, AdjustedInfo]:
        """Propose another value of one number, and keep it or not."""
        x, move, way_back = self.propose(state, noise[0])
        dtype = state.energy.dtype
        new = self.at(energy, x, dtype)
        log_q = (chosen(new.logits, way_back) - new.log_total) - (
            chosen(state.logits, move) - state.log_total
        )
        end, acceptance, kept = adjusted(state, new, log_q, noise[1])
        share = kept.to(dtype) / state.x[0].numel()
        return end, AdjustedInfo(state.energy, acceptance.to(dtype), kept.to(dtype), share)

    def propose(self, state: ProposalState, uniform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return x', (chains, *event), and the moves there and back, (chains,)."""
        target = (uniform * state.ends[:, -1])[:, None]
        move = torch.searchsorted(state.ends, target, right=True).clamp(max=state.ends.shape[1] - 1)
        flat, k = state.x.flatten(1), self.values.k
        if self.values.categories is None:
            site = back = move
            value = 1 - flat.gather(1, site)
        else:
            site, value = move // k, move % k
            back = site * k + flat.gather(1, site)
        x = flat.scatter(1, site, value).reshape(state.x.shape)
        return x, move[:, 0], back[:, 0]
