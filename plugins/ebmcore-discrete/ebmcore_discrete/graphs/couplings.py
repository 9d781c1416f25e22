"""The couplings of an energy of pairs: numbers on the edges of a graph, fixed or learnt."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from ebmcore_discrete.graphs.edges import all_pairs, independent_sets, lattice, normal, random

Graph = Literal["lattice", "random"]
Strengths = Literal["equal", "normal"]
Learns = Literal["edges", "all", "none"]


class Couplings(nn.Module):
    """J, symmetric with a diagonal of 0: on each edge of a graph `strength` to begin with.

    With `strengths` normal each is drawn from N(0, strength²) in its place, by the graph's seed.
    `learns` says which of them are parameters: those of the `edges`, those of `all` pairs of
    sites, or `none`.
    """

    edges: Tensor  # (2, pairs), the pairs that may have a coupling
    independent: Tensor  # (sets, sites) bool, sites that share no edge

    def __init__(
        self,
        event_shape: tuple[int, ...],
        graph: Graph,
        *,
        degree: float,
        seed: int,
        strength: float,
        learns: Learns,
        strengths: Strengths = "equal",
    ) -> None:
        super().__init__()
        if graph not in ("lattice", "random"):
            raise ValueError(f"graph should be lattice or random; got {graph!r}")
        if learns not in ("edges", "all", "none"):
            raise ValueError(f"learns should be edges, all or none; got {learns!r}")
        if strengths not in ("equal", "normal"):
            raise ValueError(f"strengths should be equal or normal; got {strengths!r}")
        self.sites = math.prod(event_shape)
        self.is_torus = graph == "lattice" and learns != "all" and len(event_shape) in (1, 2)
        edges = lattice(event_shape) if graph == "lattice" else random(self.sites, degree, seed)
        adjacent = torch.zeros(self.sites, self.sites, device=edges.device)
        adjacent[edges[0], edges[1]] = 1 if strengths == "equal" else normal(edges.shape[1], seed)
        edges = all_pairs(self.sites) if learns == "all" else edges
        values = strength * adjacent[edges[0], edges[1]]
        there = torch.empty(0).device  # of parameters that are made here: in a dry run, meta
        sets = independent_sets(edges, self.sites)
        self.register_buffer("edges", edges.to(there), persistent=False)
        self.register_buffer("independent", sets.to(there), persistent=False)
        self.values: Tensor
        values = values.to(there, torch.get_default_dtype())
        if learns == "none":
            self.register_buffer("values", values)
        else:
            self.values = nn.Parameter(values)

    def forward(self) -> Tensor:
        """Return J, (sites, sites), with the graph of its parameters."""
        first, second = self.edges
        half = self.values.new_zeros(self.sites, self.sites)
        half = half.index_put((first, second), self.values)
        return half + half.T
