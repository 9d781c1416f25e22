"""The geometric path from a base to an energy, p_β ∝ exp(-(1 - β) E₀(x) - β E(x)), 0 ≤ β ≤ 1.

A `Path` says which β an annealing visits, and the step size of its moves at each. The steps of
`sigmoid(K)` crowd at both ends,

    β_k = (s_k - s_0) / (s_K - s_0),  s_k = 1 / (1 + exp(-δ(2k/K - 1)))

Source: Neal 2001, "Annealed importance sampling"; the sigmoidal steps as in Grosse, Ghahramani and
Adams 2015, "Sandwiching the marginal likelihood using bidirectional Monte Carlo", with δ = 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebmcore_estimators.jumps import Proposal


class Path(NamedTuple):
    """The steps from a base to an energy, or back."""

    betas: tuple[float, ...]  # from 0 to 1, each larger than the one before; reversed: from 1 to 0
    step_sizes: Tensor | None = None  # (betas,), of the moves at each β; None: the kernel's own
    scales: Tensor | None = None  # (betas, features), of the moves in the base's coordinates
    proposals: tuple[Proposal, ...] | None = None  # (betas,), of jumps before the moves

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.betas) - 1

    def reversed(self) -> Path:
        """Return the path back."""
        return self._along(self.betas[::-1], lambda of: of.flip(0), lambda of: of[::-1])

    def end(self) -> Path:
        """Return a path of as many steps that stays where this one ends."""
        count = len(self.betas)
        return self._along(
            self.betas[-1:] * count, lambda of: of[-1:].expand_as(of), lambda of: of[-1:] * count
        )

    def refined(self, steps: int) -> Path:
        """Return a path of so many steps, spaced as these: more make each estimate more certain."""
        if steps < 1:
            raise ValueError(f"steps should be at least 1; got {steps}")
        places = torch.linspace(0, self.steps, steps + 1, dtype=torch.float64)
        betas = _between(torch.tensor(self.betas, dtype=torch.float64), places).tolist()
        betas[0], betas[-1] = self.betas[0], self.betas[-1]
        return self._along(
            tuple(betas),
            lambda of: _between(of.log(), places.to(of)).exp(),
            lambda of: tuple(of[round(place)] for place in places.tolist()),
        )

    def _along(
        self,
        betas: tuple[float, ...],
        numbers: Callable[[Tensor], Tensor],
        proposals: Callable[[tuple[Proposal, ...]], tuple[Proposal, ...]],
    ) -> Path:
        """Return a path along other β, whose sizes and scales, and proposals, come from these."""
        return Path(
            betas,
            None if self.step_sizes is None else numbers(self.step_sizes),
            None if self.scales is None else numbers(self.scales),
            None if self.proposals is None else proposals(self.proposals),
        )


def _between(values: Tensor, places: Tensor) -> Tensor:
    """Interpolate rows linearly, at places from 0 to their last number."""
    left = places.floor().long().clamp(max=len(values) - 2)
    share = (places - left).reshape(-1, *(1 for _ in values.shape[1:]))
    return values[left] + share * (values[left + 1] - values[left])


def sigmoid(steps: int, *, delta: float = 4.0) -> tuple[float, ...]:
    """Return β₀ = 0, …, β_K = 1 of a sigmoidal schedule of K steps."""
    if steps < 1:
        raise ValueError(f"steps should be at least 1; got {steps}")
    s = torch.sigmoid(delta * torch.linspace(-1, 1, steps + 1, dtype=torch.float64))
    betas = ((s - s[0]) / (s[-1] - s[0])).tolist()
    return (0.0, *betas[1:-1], 1.0)
