"""The Ising model: spins that prefer, by couplings J, to agree or to differ.

    p(s) ∝ exp(sᵀJs + bᵀs),    s = 2x - 1,    E(x) = -sᵀJs - bᵀs

J is symmetric, so that sᵀJs counts each edge twice: with J = σA, A the adjacency matrix, as in
Grathwohl et al. 2021, the coupling of two neighbours is 2σ in the physicists' convention.

Source: Ising 1925; Grathwohl et al. 2021, "Oops I took a gradient: scalable sampling for discrete
distributions", whose convention this is.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Binary, NonNegativeFloat, NonNegativeInt
from ebmcore_discrete.enumeration import MOST_EVENTS, all_events, draw, log_sum
from ebmcore_discrete.graphs.coupled import Coupled
from ebmcore_discrete.graphs.couplings import Couplings, Graph, Learns, Strengths
from ebmcore_discrete.graphs.elimination import Elimination, elimination_order
from ebmcore_discrete.graphs.transfer import WIDEST, TransferMatrix


class Ising(Coupled):
    """Spins on a graph: p(s) ∝ exp(sᵀJs + bᵀs), s = 2x - 1 for bits x.

    J begins as σ on the edges of the graph, and counts each twice. `matrix()` returns it.
    `log_z` is exact up to 20 spins, by the transfer matrix on a torus of one or two dimensions
    whose shorter side has at most 12, and by elimination on other graphs that are sparse enough,
    such as random ones of 100 spins with 2 neighbours each; `sample` draws exactly where `log_z` is
    known.
    `site_logits` gives the heat bath's odds of all spins, which `gibbs` with `scan: blocks` draws
    from.

    Shapes: x (batch, *event) -> (batch,), in nats. Raises ValueError for events of another shape.
    Source: Grathwohl et al. 2021.

    Args:
        graph: lattice couples neighbours on a torus with the event's axes; random is an
            Erdős–Rényi graph, each pair of spins with the same probability.
        sigma: J of each edge, at the start of training.
        strengths: equal gives each edge J = σ; normal draws it from N(0, σ²), by the graph's seed,
            as in spin glasses.
        degree: Mean number of neighbours in a random graph.
        seed: Seed of a random graph, whatever the run's.
        learns: The couplings that are trained: those of the edges, of all pairs of spins (which
            begin at 0 off the edges), or none.
        field: Whether b is trained; else it is 0.
        event_shape: (runtime) The shape of one event.
    """

    spaces: ClassVar = (Binary,)
    check_params: ClassVar = {"sigma": 0.3}

    def __init__(
        self,
        graph: Graph = "lattice",
        *,
        sigma: float = 0.0,
        strengths: Strengths = "equal",
        degree: NonNegativeFloat = 2.0,
        seed: NonNegativeInt = 0,
        learns: Learns = "edges",
        field: bool = True,
        event_shape: tuple[int, ...],
    ) -> None:
        couplings = Couplings(
            event_shape, graph, degree=degree, seed=seed, strength=sigma, learns=learns,
            strengths=strengths,
        )  # fmt: skip
        super().__init__(couplings, event_shape, (couplings.sites,), field=field)

    def forward(self, x: Tensor) -> Tensor:
        """Return -sᵀJs - bᵀs, (batch, *event) -> (batch,), in nats."""
        s = self._spins(x)
        return -((s @ self.matrix()) * s).sum(1) - s @ self.field

    def site_logits(self, x: Tensor) -> Tensor:
        """Return log P(xᵢ = v | the others) but for a constant, (batch, *event, 2)."""
        odds = 4 * self._spins(x) @ self.matrix() + 2 * self.field
        return torch.stack([torch.zeros_like(odds), odds], 2).reshape(*x.shape, 2)

    def log_z(self) -> Tensor:
        """Return log Σ_x exp(-E(x)), (), float64, with the graph of the parameters.

        Raises ValueError where there are too many spins.
        """
        if self._is_enumerable():
            return log_sum(self, all_events(2, self.event_shape, self.field, "log_z"))
        return self._large().log_z()

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n events exactly, (n, *event). Raises ValueError where there are too many spins."""
        if self._is_enumerable():
            events = all_events(2, self.event_shape, self.field, "sample")
            return draw(self, events, n, generator)
        drawn = self._large().draw(n, generator)
        drawn = drawn.transpose(1, 2) if drawn.ndim == 3 and self._is_tall() else drawn
        return drawn.reshape(n, *self.event_shape).to(self.field.dtype)

    def refuse_unknown_law(self) -> None:
        """Raise ValueError where there are too many spins for `log_z` and `sample`."""
        if not self._is_enumerable():
            self._large()

    def _spins(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.event_shape:
            raise ValueError(
                f"events should have shape {self.event_shape}; got {tuple(x.shape[1:])}"
            )
        return 2 * x.flatten(1) - 1

    def _is_enumerable(self) -> bool:
        return bool(2**self.couplings.sites <= MOST_EVENTS)

    def _is_tall(self) -> bool:
        return len(self.event_shape) == 2 and self.event_shape[0] < self.event_shape[1]

    def _large(self) -> TransferMatrix | Elimination:
        """Return the law of more spins than can be enumerated; raises ValueError for too many."""
        sides = len(self.event_shape)
        if self.couplings.is_torus and (sides == 1 or min(self.event_shape) <= WIDEST):
            return self._transfer()
        order = elimination_order(self.couplings.edges, self.couplings.sites)
        if order is None:
            raise ValueError(
                f"{self.couplings.sites} spins have 2^{self.couplings.sites} states, more than the "
                f"{MOST_EVENTS:,} that can be added up; the transfer matrix takes a lattice of one "
                f"or two dimensions whose shorter side has at most {WIDEST} spins, elimination a "
                "sparser graph; both want learns edges or none; this one has events of shape "
                f"{self.event_shape}"
            )
        return Elimination(self.field, self.matrix(), order)

    def _transfer(self) -> TransferMatrix:
        """Return the transfer matrix along the longer side."""
        shape = self.event_shape if len(self.event_shape) == 2 else (math.prod(self.event_shape), 1)
        sites = torch.arange(self.couplings.sites, device=self.field.device).reshape(shape)
        matrix = self.matrix()
        coupled = []
        for axis in (1, 0):
            to_next = matrix[sites, sites.roll(-1, axis)]
            if shape[axis] == 2:  # one edge, which both sites call the next one
                to_next = to_next * (sites.roll(-1, axis) > sites)
            coupled.append(to_next)
        along, between = coupled
        parts = (self.field[sites], along, between)
        if self._is_tall():
            parts = (self.field[sites].T, between.T, along.T)
        return TransferMatrix(*parts)
