"""Exact sums over spins on a sparse graph: the spins are summed out one by one.

    Z = Σ_s exp(Σᵢ bᵢsᵢ + 2 Σ_edges Jᵢⱼsᵢsⱼ)

Summing out a spin leaves a table over its neighbours, 2^w numbers for w of them, and makes these
neighbours of each other. The order is greedy: next is the spin with the fewest neighbours. In
reverse, each spin is drawn given those neighbours, which are drawn by then.

Source: Bertelè and Brioschi 1972, "Nonserial dynamic programming"; the draws as in Dawid 1992.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

WIDEST = 19  # neighbours that are left when a spin is summed out


class Table(NamedTuple):
    """A function of some spins: its value for each choice of them, (2, 2, …)."""

    sites: tuple[int, ...]
    values: Tensor

    def over(self, scope: tuple[int, ...]) -> Tensor:
        """Return it with an axis for each spin of a scope, of size 1 for those it isn't one of."""
        places = sorted(range(len(self.sites)), key=lambda axis: scope.index(self.sites[axis]))
        shape = [2 if site in self.sites else 1 for site in scope]
        return self.values.permute(places).reshape(shape)


class Turn(NamedTuple):
    """A spin to sum out, and the neighbours that it then has."""

    site: int
    left: tuple[int, ...]


def elimination_order(edges: Tensor, sites: int) -> tuple[Turn, ...] | None:
    """Return the order in which spins are summed out; None where one has more than 19 neighbours.

    Shapes: edges (2, edges).
    """
    neighbours: dict[int, set[int]] = {site: set() for site in range(sites)}
    for i, j in edges.T.tolist():
        neighbours[i].add(j)
        neighbours[j].add(i)
    turns = []
    while neighbours:
        site = min(neighbours, key=lambda i: (len(neighbours[i]), i))
        left = neighbours.pop(site)
        if len(left) > WIDEST:
            return None
        for other in left:
            neighbours[other] |= left
            neighbours[other] -= {other, site}
        turns.append(Turn(site, tuple(sorted(left))))
    return tuple(turns)


class Elimination:
    """Spins on a graph, summed out in an order.

    Shapes: field (sites,) and matrix (sites, sites): b and J above, of which J is 0 off the edges
    that the order was made for.
    """

    def __init__(self, field: Tensor, matrix: Tensor, order: tuple[Turn, ...]) -> None:
        field, matrix = field.double(), matrix.double()
        spins = torch.tensor([-1.0, 1.0], dtype=torch.float64, device=field.device)
        products = torch.outer(spins, spins)
        self.order = order
        self.weights: list[Tensor] = []  # log weights of each turn's spin, (2^neighbours, 2)
        waiting: list[Table] = []
        total = field.new_zeros(())
        for site, left in order:
            scope = (*left, site)
            log_weights = field[site] * spins
            for other in left:
                pair = Table((other, site), 2 * matrix[other, site] * products)
                log_weights = log_weights + pair.over(scope)
            for table in waiting:
                if site in table.sites:
                    log_weights = log_weights + table.over(scope)
            waiting = [table for table in waiting if site not in table.sites]
            self.weights.append(log_weights.reshape(-1, 2))
            rest = Table(left, log_weights.logsumexp(-1))
            if left:
                waiting.append(rest)
            else:
                total = total + rest.values
        self.total = total

    def log_z(self) -> Tensor:
        """Return log Z, (), float64, with the graph of the parameters."""
        return self.total

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n events exactly, (n, sites), bits in float64."""
        device = self.total.device
        uniform = torch.rand(
            (len(self.order), n), generator=generator, device=device, dtype=torch.float64
        )
        bits = torch.zeros(n, len(self.order), dtype=torch.int64, device=device)
        for turn in reversed(range(len(self.order))):
            site, left = self.order[turn]
            row = torch.zeros_like(bits[:, 0])
            for other in left:
                row = 2 * row + bits[:, other]
            bits[:, site] = (uniform[turn] >= self.weights[turn].softmax(1)[row, 0]).long()
        return bits.double()
