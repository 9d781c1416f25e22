"""The edges of graphs whose sites are the numbers of an event."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

_OF_EDGES = 2**32  # added to a graph's seed for its edges' numbers, a stream of their own
_CPU = torch.device("cpu")  # where graphs are made, also for a model on the meta device


def lattice(shape: tuple[int, ...]) -> Tensor:
    """Return the pairs of neighbours on a torus, (2, edges) int64, each once, the lower first.

    Along an axis of 2 sites the two are neighbours once; along one of 1 site there are none.
    """
    sites = torch.arange(math.prod(shape), device=_CPU).reshape(shape)
    pairs = []
    for axis, size in enumerate(shape):
        if size > 1:
            ends = torch.stack([sites, sites.roll(-1, axis)]).flatten(1)
            pairs.append(ends.sort(0).values)
    found = torch.cat(pairs, 1) if pairs else torch.empty(2, 0, dtype=torch.int64, device=_CPU)
    unique: Tensor = torch.unique(found, dim=1)
    return unique


def random(sites: int, degree: float, seed: int) -> Tensor:
    """Return an Erdős–Rényi graph, (2, edges): each pair with probability degree/(sites - 1).

    The seed alone decides which; it is drawn on the CPU from a generator of its own.
    Raises ValueError when the degree is more than a site has others.
    """
    if degree > sites - 1:
        raise ValueError(f"degree should be at most {sites - 1}, the other sites; got {degree:g}")
    pairs = all_pairs(sites)
    generator = Generator().manual_seed(seed)
    drawn = torch.rand(pairs.shape[1], generator=generator, dtype=torch.float64, device=_CPU)
    return pairs[:, drawn * (sites - 1) < degree]


def normal(edges: int, seed: int) -> Tensor:
    """Return a standard normal number for each edge, (edges,), which the graph's seed decides."""
    generator = Generator().manual_seed(seed + _OF_EDGES)
    return torch.randn(edges, generator=generator, device=_CPU)


def all_pairs(sites: int) -> Tensor:
    """Return all pairs of sites, (2, sites·(sites - 1)/2), the lower first."""
    return torch.triu_indices(sites, sites, 1, device=_CPU)


def independent_sets(edges: Tensor, sites: int) -> Tensor:
    """Return sets of sites that share no edge, (sets, sites) bool; each site is in one of them.

    Each site in turn joins the first set that holds no neighbour of it, which gives a torus of
    even sides its two colours.
    """
    neighbours: list[set[int]] = [set() for _ in range(sites)]
    for i, j in edges.T.tolist():
        neighbours[i].add(j)
        neighbours[j].add(i)
    colours: list[int] = []
    for site in range(sites):
        taken = {colours[other] for other in neighbours[site] if other < site}
        colours.append(next(colour for colour in range(sites) if colour not in taken))
    numbers = torch.arange(max(colours, default=-1) + 1, device=_CPU)
    return torch.tensor(colours, device=_CPU) == numbers[:, None]
