"""The Potts model: categories on a graph, neighbours of which prefer, by couplings J, to be equal.

    E(x) = -Σ_edges Jᵢⱼ [xᵢ = xⱼ] - Σᵢ bᵢ(xᵢ)

Each edge counts once. An Ising model's sᵀJs + bᵀs is, but for a constant, that of two categories
with four times its J.

Source: Potts 1952, "Some generalized order-disorder transformations".
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Categorical, NonNegativeFloat, NonNegativeInt
from ebmcore_discrete.enumeration import all_events, draw, log_sum
from ebmcore_discrete.graphs.coupled import Coupled
from ebmcore_discrete.graphs.couplings import Couplings, Graph, Learns


class Potts(Coupled):
    """Categories on a graph: E(x) = -Σ_edges Jᵢⱼ [xᵢ = xⱼ] - Σᵢ bᵢ(xᵢ).

    J begins as the same number on all edges of the graph. `log_z` and `sample` are exact where
    there are at most 2^20 events. `site_logits` gives the heat bath's odds of all sites, which
    `gibbs` with `scan: blocks` draws from. It takes events as whole numbers or one-hot.

    Shapes: x (batch, *event), int64, or one-hot (batch, *event, k) -> (batch,), in nats.
    Raises ValueError for events of another shape, and for a space that isn't categorical.
    Source: Potts 1952.

    Args:
        graph: lattice couples neighbours on a torus with the event's axes; random is an
            Erdős–Rényi graph, each pair of sites with the same probability.
        coupling: J of each edge, at the start of training.
        degree: Mean number of neighbours in a random graph.
        seed: Seed of a random graph, whatever the run's.
        learns: The couplings that are trained: those of the edges, of all pairs of sites (which
            begin at 0 off the edges), or none.
        field: Whether b is trained; else it is 0.
        event_shape: (runtime) The shape of one event.
        space: (runtime) The categorical space of the events.
    """

    spaces: ClassVar = (Categorical,)
    check_params: ClassVar = {"coupling": 0.5}

    def __init__(
        self,
        graph: Graph = "lattice",
        *,
        coupling: float = 0.0,
        degree: NonNegativeFloat = 2.0,
        seed: NonNegativeInt = 0,
        learns: Learns = "edges",
        field: bool = True,
        event_shape: tuple[int, ...],
        space: Categorical,
    ) -> None:
        if not isinstance(space, Categorical):
            raise ValueError(f"potts takes categorical events; got a space that is {space}")
        couplings = Couplings(
            event_shape, graph, degree=degree, seed=seed, strength=coupling, learns=learns
        )
        super().__init__(couplings, event_shape, (couplings.sites, space.k), field=field)
        self.space = space

    def forward(self, x: Tensor) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,), in nats."""
        there = self._one_hot(x)
        pairs = torch.einsum("nik,ij,njk->n", there, self.matrix(), there) / 2
        return -pairs - (there * self.field).sum((1, 2))

    def site_logits(self, x: Tensor) -> Tensor:
        """Return log P(xᵢ = v | the others) but for a constant, (batch, *event, k)."""
        odds = torch.einsum("ij,njk->nik", self.matrix(), self._one_hot(x)) + self.field
        return odds.reshape(len(x), *self.event_shape, self.space.k)

    def log_z(self) -> Tensor:
        """Return log Σ_x exp(-E(x)), (), float64, with the graph of the parameters.

        Raises ValueError where there are more than 2^20 events.
        """
        return log_sum(self, all_events(self.space.k, self.event_shape, self._whole(), "log_z"))

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n events exactly, (n, *event). Raises ValueError for more than 2^20 events."""
        events = all_events(self.space.k, self.event_shape, self._whole(), "sample")
        return draw(self, events, n, generator)

    def _whole(self) -> Tensor:
        return self.couplings.edges[:0]  # int64, on the parameters' device

    def _one_hot(self, x: Tensor) -> Tensor:
        """Return (batch, sites, k) in the parameters' dtype."""
        return self.space.one_hot(x, self.event_shape, self.field.dtype).flatten(1, -2)
