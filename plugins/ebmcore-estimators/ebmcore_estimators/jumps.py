"""Jumps: some coordinates drawn anew from the pilot's marginals, kept with Metropolis-Hastings.

In z, where the base is N(0, I), k coordinates are chosen at random, the same of all walkers, and
each is drawn from a histogram q of the pilot's draws at that β, whatever it was. The proposal is
kept with

    min(1, p_β(z') ∏ q(z) / (p_β(z) ∏ q(z')))

so a walker crosses a barrier between wells of a coordinate in one evaluation of E, where dynamics
take a time that grows with exp(barrier). The walkers are not the pilot's, so p_β stays invariant.

Source: Tierney 1994, "Markov chains for exploring posterior distributions", the independence chain,
here of some of the coordinates.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import Energy, energy_and_score
from ebmcore_estimators.bases import Gaussian
from ebmcore_estimators.walkers import Walkers, at_beta, chosen

BINS = 1.5  # of a histogram, for each square root of the number of draws
FEWEST_BINS = 4
ACCEPTANCE = 0.5  # that the number of coordinates of a jump aims at


class Proposal(NamedTuple):
    """A histogram of each coordinate of z, and how many coordinates jump together."""

    low: Tensor  # (features,), where the first bin begins
    width: Tensor  # (features,), of a bin
    bins: Tensor  # (draws, features), the number of the bin of each of the pilot's draws
    log_counts: Tensor  # (features, bins + 2), of these; -inf of none, as of the first and the last
    together: int  # coordinates

    @classmethod
    def of(cls, z: Tensor, together: int) -> Proposal:
        """Return the histograms of draws, (draws, features)."""
        count = max(FEWEST_BINS, round(BINS * math.sqrt(len(z))))
        low, high = z.amin(0), z.amax(0)
        width = ((high - low) / count).clamp(min=torch.finfo(z.dtype).tiny)
        bins = ((z - low) / width).long().clamp(0, count - 1)
        counts = z.new_zeros(z.shape[1], count + 2)
        counts.scatter_add_(1, (bins + 1).T, torch.ones_like(z.T))
        return cls(low, width, bins, counts.log(), together)

    def draw(self, old: Tensor, columns: Tensor, generator: Generator | None) -> Drawn:
        """Draw coordinates anew, whatever they were: old, (n, k), of the columns, (k,)."""
        low, width = self.low[columns], self.width[columns]
        which = torch.randint(len(self.bins), old.shape, generator=generator, device=old.device)
        new_bin = self.bins[:, columns].gather(0, which)
        inside = torch.rand(old.shape, generator=generator, device=old.device, dtype=old.dtype)
        new = low + width * (new_bin + inside)
        last = self.log_counts.shape[1] - 2
        old_bin = ((old - low) / width).floor().clamp(-1, last).long()
        log_counts = self.log_counts[columns].T
        gained = log_counts.gather(0, old_bin + 1) - log_counts.gather(0, new_bin + 1)
        return Drawn(new, gained.sum(1))


class Drawn(NamedTuple):
    """Coordinates drawn anew."""

    new: Tensor  # (n, k)
    log_ratio: Tensor  # (n,), log q(old) - log q(new)


class Jump:
    """Jumps, one after the other, before a Hamiltonian move.

    Args:
        energy: E.
        base: E₀, a Gaussian.
        count: How many jumps, each an evaluation of E; then the score is taken once.
    """

    def __init__(self, energy: Energy, base: Gaussian, count: int) -> None:
        self.energy = energy
        self.base = base
        self.count = count

    @torch.no_grad()
    def __call__(
        self, walkers: Walkers, beta: float, proposal: Proposal, generator: Generator | None
    ) -> tuple[Walkers, Tensor]:
        """Return the walkers moved, and the mean acceptance, ()."""
        like, here, accepted = _coordinates(walkers), walkers._replace(score=None), []
        draw = partial(torch.rand, generator=generator, device=like.device, dtype=like.dtype)
        for _ in range(self.count):
            columns = draw(like.shape[1]).argsort()[: proposal.together]
            z = _coordinates(here)
            drawn = proposal.draw(z[:, columns], columns, generator)
            z = z.index_copy(1, columns, drawn.new)
            x = self.base.at(z)
            there = Walkers(x, self.base.energy_of(z), self.energy(x), z)
            change = at_beta(there, beta) - at_beta(here, beta) - drawn.log_ratio
            acceptance = torch.where(change.isfinite(), (-change).clamp(max=0).exp(), 0.0)
            here = chosen(draw(len(z)) < acceptance, there, here)
            accepted.append(acceptance.mean())
        target, score = energy_and_score(self.energy, here.x)
        end = here._replace(target=target, score=self.base.pulled(score))
        return end, torch.stack(accepted).mean()

    def tried(
        self, walkers: Walkers, beta: float, together: float, generator: Generator | None
    ) -> tuple[Walkers, float]:
        """Move a pilot by its own histograms; return how many coordinates should jump together."""
        proposal = self.proposal(walkers, together)
        walkers, acceptance = self(walkers, beta, proposal, generator)
        grown = together * math.exp(float(acceptance) - ACCEPTANCE)
        return walkers, min(max(grown, 1.0), len(proposal.low))

    def proposal(self, walkers: Walkers, together: float) -> Proposal:
        """Return the histograms of a pilot's walkers."""
        return Proposal.of(_coordinates(walkers), round(together))


def _coordinates(walkers: Walkers) -> Tensor:
    if walkers.z is None:
        raise TypeError("jumps need walkers that a Hamiltonian move began")
    return walkers.z
