"""A trajectory that doubles until it turns back, and a point of it by its weight: NUTS's one step.

A tree of 2^j points of a leapfrog path, weighted exp(-H/T), is doubled by a subtree of as many,
forwards or backwards in time, as long as no subtree of either turns. A subtree grows leaf by leaf;
neighbours of equal size join at once, as a binary counter carries, so that log₂ of its leaves wait.
In a subtree each point is chosen by its weight; the tree passes to the subtree's with min(1, W'/W).

Momenta are whitened: q = Lᵀp with M⁻¹ = L Lᵀ, so that q ~ N(0, T I), H = E(x) + ½ q·q, x' = L q,
q' = Lᵀ s(x), and the criterion of Betancourt, pᵀ M⁻¹ ρ, is a plain product.
Source: Hoffman and Gelman 2014, "The No-U-Turn sampler"; Betancourt 2017, "A conceptual
introduction to Hamiltonian Monte Carlo", appendix A; without recursion: Phan, Pradhan and
Jankowiak 2019, Lao and Dillon 2019; criteria across two subtrees: Stan since 2.21.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebmcore import any_left, energy_and_score

DIVERGED = 1000  # ΔH/T over which a point counts as divergent, as in Hoffman and Gelman 2014


class Phase(NamedTuple):
    """A point of phase space; events are flat."""

    x: Tensor  # (chains, d)
    q: Tensor  # (chains, d), the whitened momentum
    slope: Tensor  # (chains, d), the whitened score Lᵀ s(x)


class Choice(NamedTuple):
    """The point of a tree that was chosen by its weight."""

    x: Tensor  # (chains, d)
    energy: Tensor  # (chains,), nats
    score: Tensor  # (chains, d), nats per unit of x
    error: Tensor  # (chains,), its H less that of the start, nats


class Grown(NamedTuple):
    """A subtree so far."""

    end: Phase  # its newest leaf
    choice: Choice
    log_weight: Tensor  # (chains,), log Σ exp(-ΔH/T)
    uniform: Tensor  # (chains,), float64, of [0, 1) and independent of all choices so far
    going: Tensor  # (chains,), bool: neither turned nor divergent
    divergent: Tensor  # (chains,), bool
    acceptance: Tensor  # (chains,), Σ min(1, exp(-ΔH/T)) over the leaves of this step
    leaves: Tensor  # (chains,), how many


class Span(NamedTuple):
    """A row of neighbouring leaves, in the order in which they were made; all (chains, d)."""

    first: Tensor  # q of the first leaf
    last: Tensor  # q of the last
    total: Tensor  # the sum of all


class Course(NamedTuple):
    """Where chains go while a subtree grows."""

    step: Tensor  # (chains, 1), ε, negative where time runs backwards
    scale: Tensor  # (chains, d), √M⁻¹, or (d, d), L
    start: Tensor  # (chains,), H at the start of the step, nats
    shape: tuple[int, ...]  # of an event
    temperature: float


def drift(scale: Tensor, q: Tensor) -> Tensor:
    """Return L q, the velocity of x."""
    return scale * q if scale.shape == q.shape else q @ scale.mT


def whiten(scale: Tensor, score: Tensor) -> Tensor:
    """Return Lᵀ s, the force on q."""
    return scale * score if scale.shape == score.shape else score @ scale


def grow(energy: Any, course: Course, grown: Grown) -> Grown:
    """Return the subtree with one leaf more; chains that don't go on stay where they are."""
    step = torch.where(grown.going[:, None], course.step, 0.0)
    x, q, slope = grown.end
    q = q + 0.5 * step * slope
    x = x + step * drift(course.scale, q)
    values, score = energy_and_score(energy, x.view(-1, *course.shape))
    score = score.reshape(x.shape)
    slope = whiten(course.scale, score)
    q = q + 0.5 * step * slope
    error = values + 0.5 * q.square().sum(1) - course.start
    log_ratio = (-error / course.temperature).detach()
    sound = log_ratio.isfinite() & (log_ratio >= -DIVERGED)
    counted = grown.going & sound
    total = torch.logaddexp(grown.log_weight, log_ratio)
    log_weight = torch.where(counted, total, grown.log_weight)
    # u < a chooses; u/a or (u - a)/(1 - a) is uniform again, whatever was chosen
    share = (log_ratio - log_weight).exp().to(grown.uniform.dtype)
    taken = counted & (grown.uniform < share)
    rest = torch.where(taken, grown.uniform / share, (grown.uniform - share) / (1 - share))
    old, each = grown.choice, taken[:, None]
    return Grown(
        Phase(x, q, slope),
        Choice(
            torch.where(each, x, old.x),
            torch.where(taken, values, old.energy),
            torch.where(each, score, old.score),
            torch.where(taken, error, old.error),
        ),
        log_weight,
        torch.where(counted & (share < 1), rest, grown.uniform),
        counted,
        grown.divergent | (grown.going & ~sound),
        grown.acceptance + torch.where(counted, log_ratio.clamp(max=0).exp(), 0.0),
        grown.leaves + grown.going,
    )


def chosen(mask: Tensor, one: Any, other: Any) -> Any:
    """Return the chains of one NamedTuple where the mask, (chains,), holds, else of the other."""
    pairs = zip(one, other, strict=True)
    return type(one)(*(torch.where(mask.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs))


def turns(one: Tensor, other: Tensor, total: Tensor) -> Tensor:
    """Whether either end of a span moves against the sum of its momenta; (chains, d) -> bool."""
    return ((one * total).sum(1) <= 0) | ((other * total).sum(1) <= 0)


def grow_two(energy: Any, course: Course, grown: Grown) -> tuple[Grown, Span]:
    """Return the subtree with two leaves more, and their span; where it turns, the chain stops."""
    one = grow(energy, course, grown)
    two = grow(energy, course, one)
    span = Span(one.end.q, two.end.q, one.end.q + two.end.q)
    return two._replace(going=two.going & ~turns(*span)), span


def join(before: Span, after: Span) -> tuple[Tensor, Tensor]:
    """Return the sum of two neighbouring spans, and whether they turn: by their ends, or between.

    For the latter each is taken with the nearest leaf of the other, as in Stan.
    """
    total = before.total + after.total
    turned = turns(before.first, after.last, total)
    turned = turned | turns(before.first, after.first, before.total + after.first)
    return total, turned | turns(before.last, after.last, after.total + before.last)


def subtree(
    parts: Any, energy: Any, course: Course, grown: Grown, depth: int
) -> tuple[Grown, Span]:
    """Grow 2^depth leaves, or fewer once no chain goes on; `parts` has leaf, two_leaves, joined."""
    if depth == 0:
        grown = parts.leaf(energy, course, grown)
        q = grown.end.q
        return grown, Span(q, q.clone(), q.clone())  # a graph takes no tensor twice
    spans: list[tuple[int, Span]] = []
    for _ in range(2 ** (depth - 1)):
        grown, span = parts.two_leaves(energy, course, grown)
        spans.append((1, span))
        while len(spans) > 1 and spans[-1][0] == spans[-2][0]:
            (size, before), (_, after) = spans[-2:]
            total, turned = parts.joined(energy, before, after)
            span = Span(before.first, after.last, total)
            spans[-2:] = [(size + 1, span)]
            grown = grown._replace(going=grown.going & ~turned)
        if not any_left(grown.going):
            break
    return grown, span
