"""Walkers: a batch of events on their way from a base to an energy, with both energies at each."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Walkers(NamedTuple):
    """Events, and all that the next step of their way needs and should not compute twice."""

    x: Tensor  # (n, *event)
    base: Tensor  # (n,), E₀(x) = -log p₀(x), nats
    target: Tensor  # (n,), E(x), nats
    z: Tensor | None = None  # (n, features), x in the base's coordinates, for gradients
    score: Tensor | None = None  # (n, features), -∂E/∂z

    def rows(self, index: Tensor) -> Walkers:
        """Return some of them, by their numbers."""
        return Walkers(*(None if field is None else field[index] for field in self))  # type: ignore[arg-type]


def at_beta(walkers: Walkers, beta: float) -> Tensor:
    """Return the energy of p_β at each walker, (n,)."""
    return (1 - beta) * walkers.base + beta * walkers.target


def chosen(accepted: Tensor, proposed: Walkers, kept: Walkers) -> Walkers:
    """Return the proposed walkers where they are accepted, (n,) bool, else those that were."""
    fields = []
    for new, old in zip(proposed, kept, strict=True):
        if new is None or old is None:
            fields.append(old)
            continue
        wide = accepted.reshape(-1, *(1 for _ in old.shape[1:]))
        fields.append(torch.where(wide, new, old))
    return Walkers(*fields)  # type: ignore[arg-type]
