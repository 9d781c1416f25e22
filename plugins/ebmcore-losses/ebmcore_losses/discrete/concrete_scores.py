"""Concrete score matching: the model's ratios q(x')/q(x) between neighbours, by least squares."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Binary, Categorical, Energy, PositiveInt, Probability, Space
from ebmcore_losses.discrete.neighbours import (
    differences,
    neighbours,
    number_of_values,
    some_sites,
)
from ebmcore_losses.numerics.precision import widest


class ConcreteScoreMatching:
    """Least squares of the ratios r = q(x')/q(x) = exp(E(x) - E(x')) to all neighbours x' of x.

    Mean Σ (r - p(x')/p(x))², which up to a constant is, without p's ratios,

        ε = 0:  mean Σ r² - 2/r
        ε > 0:  mean Σ (r - t)²,  t = q_ε(x̃' | x)/q_ε(x̃ | x),  r at x̃ ~ q_ε(· | x)

    q_ε changes each number with probability ε to any other value. With ε = 0 the minimum is the law
    of the data, but of few data the loss falls without end, as it makes neighbours unlikely that
    are not among them; with ε > 0 it is the law of the data so changed, and the loss is never below
    0. Ratios are exponentials: unlike `ratio_matching`, a few pairs may outweigh all others. It
    evaluates the energy at all neighbours, at most 2^14 events at a time. Its value is not a
    likelihood.

    Shapes: x (batch, *event) -> (). Raises ValueError when the events are categories and the space
    is not given, or epsilon is 1.
    Source: Meng, Choi, Song and Ermon 2022, "Concrete score matching: generalized score matching
    for discrete data", theorem 1, and its denoising form.

    Args:
        epsilon: ε, the probability with which a number is changed.
        sites: Numbers of each event that a step looks at, chosen at random, in place of all; their
            terms count for the others, so that the gradient has no bias.
        space: (runtime) The set that events live in; by default binary.
    """

    spaces: ClassVar = (Binary, Categorical)

    def __init__(
        self,
        *,
        epsilon: Probability = 0.05,
        sites: PositiveInt | None = None,
        space: Space | None = None,
    ) -> None:
        if not 0 <= epsilon < 1:
            raise ValueError(f"epsilon should be at least 0 and below 1; got {epsilon:g}")
        self.epsilon = epsilon
        self.sites = sites
        self.space = space

    def fitted_scale(self, scale: float) -> float | None:
        """Return the scale, or with changed data None, for ebmcore.testing."""
        return scale if self.epsilon == 0 else None

    def __call__(
        self, energy: Energy, x: Tensor, generator: Generator | None, y: Tensor | None = None
    ) -> Tensor:
        """Return the loss, ()."""
        k = number_of_values("concrete_score_matching", self.space, x)
        at = self._changed(x, k, generator) if self.epsilon else x
        sites, factor = some_sites(x, self.sites, generator)
        others = neighbours(at, k, sites)
        ratios = differences(energy, at, others, y).exp()
        if self.epsilon == 0:
            terms = ratios.square() - 2 / ratios
        else:
            terms = (ratios - self._targets(x, at, others, sites, k).to(ratios.dtype)).square()
        return factor * terms.sum((1, 2)).mean()

    def _changed(self, x: Tensor, k: int, generator: Generator | None) -> Tensor:
        changes = torch.rand(x.shape, generator=generator, device=x.device) < self.epsilon
        on = torch.randint(1, k, x.shape, generator=generator, device=x.device)
        return torch.where(changes, ((x + on) % k).to(x.dtype), x)

    def _targets(self, x: Tensor, at: Tensor, others: Tensor, sites: Tensor, k: int) -> Tensor:
        """Return q_ε(x' | x)/q_ε(at | x) for each neighbour x' of `at`, (batch, sites, k - 1)."""
        own, now = (part.flatten(1).gather(1, sites)[:, :, None] for part in (x, at))
        index = sites[:, :, None, None].expand(*others.shape[:3], 1)
        then = others.gather(3, index)[..., 0]
        dtype = widest(x.device)
        odds = (1 - self.epsilon) * (k - 1) / self.epsilon  # of staying against one other value
        return (math.log(odds) * ((then == own).to(dtype) - (now == own).to(dtype))).exp()
