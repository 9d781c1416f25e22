"""The law of a kernel on a space of finitely many events, where exp(-E) is summed exactly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from ebmcore_testing.measures.lattice import AllEvents
from ebmcore_testing.measures.statistics import LEVEL

_FEWEST = 20  # events expected in a cell of the χ² test; rarer ones are one cell together


class Coupled(nn.Module):
    """E(x) = Σ bᵢxᵢ + Σ Jᵢⱼxᵢxⱼ: a law in which all numbers of an event depend on each other.

    It takes categories as whole numbers, and one-hot, (batch, *event, k).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        size = torch.Size(shape).numel()
        places = torch.arange(size, dtype=torch.float64)
        self.field = nn.Parameter(0.6 * torch.cos(2 * places))
        couplings = 0.9 * torch.sin(1 + places[:, None] + 3 * places) / max(size - 1, 1)
        self.coupling = nn.Parameter(couplings.triu(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,)."""
        if x.shape[1:-1] == self.shape:
            x = x @ torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
        flat = x.flatten(1).to(self.field.dtype)
        energies: Tensor = flat @ self.field + ((flat @ self.coupling) * flat).sum(1)
        return energies


class Enumerated:
    """A law over all events of a finite space: exp(-E)/Z, or that of a transition matrix.

    Shapes: matrix (events, events), row by row the probabilities of a step's ends.
    """

    def __init__(self, energy: Any, events: AllEvents, matrix: Tensor | None = None) -> None:
        self.events = events
        if matrix is None:
            with torch.no_grad():
                self.p = (-energy(events.x).double()).softmax(0)  # (events,)
        else:
            self.p = stationary_law(matrix)

    def draw(self, n: int, generator: Generator) -> Tensor:
        """Draw n events exactly."""
        return self.events.x[self.p.multinomial(n, replacement=True, generator=generator)]

    def strangers(self, x: Tensor) -> int:
        """Count the events that the space doesn't have."""
        return int((self.events.places(x) < 0).sum())

    def p_value(self, x: Tensor) -> float:
        """Return the χ² test's chance of draws (n, *event) that fit the law no better."""
        counts = torch.bincount(self.events.places(x), minlength=len(self.p)).double()
        expected, order = (len(x) * self.p).sort(descending=True)
        counts = counts[order]
        cells = max(int((expected >= _FEWEST).sum()), 1)
        if float(expected[cells:].sum()) < _FEWEST:  # too few for a cell of their own
            cells -= 1
        found, wanted = (
            torch.cat([part[:cells], part[cells:].sum().view(1)]) for part in (counts, expected)
        )
        statistic = ((found - wanted).square() / wanted.clamp(min=1e-300)).sum()
        freedom = torch.tensor((len(found) - 1) / 2, dtype=torch.float64)
        return float(torch.special.gammaincc(freedom, statistic / 2)) if len(found) > 1 else 1.0


def stationary_law(matrix: Tensor) -> Tensor:
    """Return p with pP = p and sum 1, (events, events) -> (events,), by least squares."""
    states = len(matrix)
    ones = matrix.new_ones(1, states)
    equations = torch.cat([matrix.T - torch.eye(states, dtype=matrix.dtype), ones])
    wanted = torch.cat([matrix.new_zeros(states), matrix.new_ones(1)])
    solved: Tensor = torch.linalg.lstsq(equations, wanted[:, None]).solution
    return solved[:, 0].clamp(min=0)


def fits(p_value: float) -> bool:
    """Tell whether a p-value passes; what is right fails once in a million times."""
    return p_value >= LEVEL
