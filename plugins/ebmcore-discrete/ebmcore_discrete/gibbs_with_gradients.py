"""Gibbs with gradients: one number is given another value, proposed by softmax(Δ̃/2), or stays.

    q(i, v | x) ∝ exp(Δ̃ᵢᵥ / 2),  v ≠ xᵢ,    kept with min(1, r),
    r = exp(E(x) - E(x')) q(i, xᵢ | x') / q(i, v | x)

Δ̃ᵢᵥ estimates the change of -E by the gradient at x. Exact for any estimate, as it is adjusted.
Source: Grathwohl, Swersky, Hashemi, Duvenaud and Maddison 2021, "Oops I took a gradient: scalable
sampling for discrete distributions"; the half in Δ̃/2 is Zanella's 2020 locally balanced proposal.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Binary, Categorical, Energy, Kernel, Space
from ebmcore_discrete.informed import (
    AdjustedInfo,
    InformedState,
    Values,
    adjusted,
    choose,
    chosen,
    wide,
)


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

    def init(self, energy: Energy, x: Tensor) -> InformedState:
        """Begin at x."""
        return self.values.begin("gibbs_with_gradients", energy, x)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        """Draw two uniform numbers a chain, (chains,) each: of the proposal and of its test."""
        first, second = torch.rand((2, len(x)), generator=generator, device=x.device, dtype=wide(x))
        return first, second

    def step(
        self, energy: Energy, state: InformedState, noise: tuple[Tensor, ...]
    ) -> tuple[InformedState, AdjustedInfo]:
        """Propose another value of one number, and keep it or not."""
        flat = state.x.flatten(1)
        there = self.log_proposals(state)
        pick = choose(there.exp(), noise[0])
        site = pick // self.values.k
        value = (pick % self.values.k).to(flat.dtype)
        old = flat.gather(1, site[:, None])
        x = flat.scatter(1, site[:, None], value[:, None]).reshape(state.x.shape)
        new = self.values.at(energy, x, state.energy.dtype)
        way_back = site * self.values.k + old[:, 0].long()
        log_q = chosen(self.log_proposals(new), way_back) - chosen(there, pick)
        return adjusted(state, new, log_q, noise[1])

    def log_proposals(self, state: InformedState) -> Tensor:
        """Return log q(i, v | x) of each number and value, (chains, numbers · values), float64."""
        logits = (state.differences / 2).to(wide(state.x))
        other = logits.masked_fill(self.values.stays(state.x), -torch.inf)
        return other.flatten(1).log_softmax(1)
