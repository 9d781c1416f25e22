"""Pseudo-likelihood: each number of an event given all the others."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Binary, Categorical, Energy, PositiveInt, Space
from ebmcore_losses.discrete.neighbours import (
    differences,
    neighbours,
    number_of_values,
    some_sites,
)


class PseudoLikelihood:
    """Mean -Σᵢ log P(xᵢ | the others) = mean Σᵢ log Σᵥ exp(E(x) - E(x with xᵢ = v)).

    Its minimum is the law of the data, without Z, samples or gradients in x. For an energy that
    offers `site_logits(x)`, log P(xᵢ = v | the others) but for a constant, as ising and potts do,
    it is one evaluation; else it evaluates the energy at all neighbours of an event, k - 1 for each
    of its numbers, at most 2^14 events at a time. Its value is not the likelihood: it is never
    below 0, and 0 where each number follows from the others.

    Shapes: x (batch, *event) -> (), in nats for an event. Raises ValueError when the events are
    categories and the space is not given.
    Source: Besag 1975, "Statistical analysis of non-lattice data".

    Args:
        sites: Numbers of each event that a step looks at, chosen at random, in place of all; their
            terms count for the others, so that the gradient has no bias.
        space: (runtime) The set that events live in; by default binary.
    """

    spaces: ClassVar = (Binary, Categorical)

    def __init__(self, *, sites: PositiveInt | None = None, space: Space | None = None) -> None:
        self.sites = sites
        self.space = space

    def __call__(
        self, energy: Energy, x: Tensor, generator: Generator | None, y: Tensor | None = None
    ) -> Tensor:
        """Return the loss, ()."""
        k = number_of_values("pseudo_likelihood", self.space, x)
        sites, factor = some_sites(x, self.sites, generator)
        if y is None and hasattr(energy, "site_logits"):
            return factor * _by_logits(energy, x, sites)
        terms = differences(energy, x, neighbours(x, k, sites), y)  # log odds of x' against x
        stays = torch.zeros_like(terms[..., :1])
        return factor * torch.cat([stays, terms], 2).logsumexp(2).sum(1).mean()


def _by_logits(energy: Any, x: Tensor, sites: Tensor) -> Tensor:
    logs = energy.site_logits(x).flatten(1, -2).log_softmax(2)
    own = logs.gather(2, x.flatten(1).long()[..., None])[..., 0]
    total: Tensor = -own.gather(1, sites).sum(1).mean()
    return total
