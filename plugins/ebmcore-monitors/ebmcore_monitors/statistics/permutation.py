"""A permutation test: how often a statistic is as large under random labels.

If two samples come from one density, every split of their pooled points is equally likely, and

    p = (1 + #{relabelled statistic >= observed}) / (1 + permutations)

is at most α with probability at most α for any density: exactly, for exchangeable points.
Source: Phipson and Smyth 2010, "Permutation p-values should never be zero".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

ROUNDING = 1e-9  # share of the largest value by which equal statistics may differ


class PermutationResult(NamedTuple):
    """A statistic of two samples, and its p-value under the hypothesis of one density."""

    value: float
    p: float


def relabellings(n: int, m: int, permutations: int, generator: Generator) -> Tensor:
    """Return the true labels, 1 for the first n of n + m points, and `permutations` random ones.

    Shapes: -> (1 + permutations, n + m), bool, on the CPU; each row has n true elements.
    """
    labels = torch.zeros(1 + permutations, n + m, dtype=torch.bool)
    labels[0, :n] = True
    for row in labels[1:]:
        order = torch.randperm(n + m, generator=generator, device=generator.device)
        row[order[:n].cpu()] = True
    return labels


def test(statistic: Callable[[Tensor], Tensor], labels: Tensor) -> PermutationResult:
    """Compare the statistic of the true labels, row 0, with those of the other rows.

    Shapes: `statistic` takes labels (rows, points) and returns (rows,). Values that differ only by
    rounding count as equal.
    """
    values = statistic(labels)
    return PermutationResult(float(values[0]), p_value(values))


def p_value(values: Tensor) -> float:
    """Return how often a statistic is at least that of row 0, (rows,), up to rounding."""
    observed, others = values[0], values[1:]
    slack = ROUNDING * float(values.abs().max())
    at_least = int((others >= observed - slack).sum())
    return (1 + at_least) / (1 + len(others))
