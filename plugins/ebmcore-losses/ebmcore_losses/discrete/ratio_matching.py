"""Ratio matching: the odds of an event against each of its neighbours."""

from __future__ import annotations

from typing import ClassVar

from torch import Generator, Tensor

from ebmcore import Binary, Categorical, Energy, PositiveInt, Space
from ebmcore_losses.discrete.neighbours import (
    differences,
    neighbours,
    number_of_values,
    some_sites,
)


class RatioMatching:
    """Mean Σ sigmoid(E(x) - E(x'))² over the neighbours x' of x, which differ in one number.

    sigmoid(E(x) - E(x')) is the model's share of x' in the pair, q(x')/(q(x) + q(x')), so that the
    minimum is the law of the data, without Z, samples or gradients in x. Each pair counts at most
    once, however unlikely x' is, which bounds the gradient. Of categories a neighbour is each other
    value of each number; for bits it is Hyvärinen's. It evaluates the energy at all neighbours, at
    most 2^14 events at a time. Its value is not a likelihood.

    Shapes: x (batch, *event) -> (), from 0 to the number of neighbours. Raises ValueError when the
    events are categories and the space is not given.
    Source: Hyvärinen 2007, "Some extensions of score matching", equation 17.

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
        k = number_of_values("ratio_matching", self.space, x)
        sites, factor = some_sites(x, self.sites, generator)
        shares = differences(energy, x, neighbours(x, k, sites), y).sigmoid()
        return factor * shares.square().sum((1, 2)).mean()
