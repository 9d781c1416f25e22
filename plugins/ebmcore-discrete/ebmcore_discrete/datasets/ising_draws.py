"""Exact draws of an Ising model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ebmcore import Binary, NonNegativeFloat, NonNegativeInt, PositiveInt
from ebmcore_discrete.graphs.couplings import Graph, Strengths
from ebmcore_discrete.ising import Ising

_STEP = 1e-4  # of the factor of σ


class IsingDraws:
    """Exact draws of spins on a graph, p(s) ∝ exp(sᵀJs), J = σ on its edges, as bits (s + 1)/2.

    Called, it draws (n, *shape) in torch's default dtype, by adding up all states where there are
    at most 2^20, row by row with the transfer matrix on a torus whose shorter side has at most 12
    spins, and spin by spin on other sparse graphs. `log_prob` is exact, and `entropy`; `energy` is
    the model, `energy.matrix()` its J. Its space is binary. Raises ValueError where the law can't
    be drawn from exactly.

    Source: Grathwohl et al. 2021, "Oops I took a gradient", whose lattices these are.

    Args:
        shape: The spins along each axis, which is the shape of an event.
        sigma: J of each edge; sᵀJs counts each twice.
        strengths: equal gives each edge J = σ; normal draws it from N(0, σ²) by the graph's seed.
        graph: lattice is a torus, random an Erdős–Rényi graph, as of the energy `ising`.
        degree: Mean number of neighbours in a random graph.
        seed: Seed of a random graph, whatever the run's.
        n: How many events are drawn.
        generator: (runtime) Random generator of the draws.
    """

    space: ClassVar = Binary()

    def __init__(
        self,
        shape: Sequence[PositiveInt] = (4, 4),
        *,
        sigma: float = 0.2,
        strengths: Strengths = "equal",
        graph: Graph = "lattice",
        degree: NonNegativeFloat = 2.0,
        seed: NonNegativeInt = 0,
        n: PositiveInt = 5000,
        generator: Generator | None = None,
    ) -> None:
        self.n = n
        self.generator = generator
        self._keys: dict[str, Any] = {
            "graph": graph, "sigma": sigma, "strengths": strengths, "degree": degree, "seed": seed,
            "event_shape": tuple(shape),
        }  # fmt: skip
        self.energy = self._model()
        self.energy.refuse_unknown_law()

    def __call__(self) -> Tensor:
        """Draw the events, (n, *shape)."""
        return self.energy.sample(self.n, self.generator).to(torch.get_default_dtype())

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, (m, *shape) -> (m,); -∞ of what isn't bits."""
        is_binary = ((x == 0) | (x == 1)).flatten(1).all(1)
        log_p = -self.energy(x.cpu().double()) - self._log_z
        return torch.where(is_binary.cpu(), log_p, -torch.inf).to(x)

    @cached_property
    def entropy(self) -> float:
        """-Σ p log p = log Z - σ d(log Z)/dσ, in nats, the slope by central differences."""
        higher, lower = (float(self._model(1 + step).log_z()) for step in (_STEP, -_STEP))
        return float(self._log_z) - (higher - lower) / (2 * _STEP)

    @cached_property
    def _log_z(self) -> Tensor:
        return self.energy.log_z()

    def _model(self, factor: float = 1.0) -> Ising:
        """Return the model with its couplings times a factor."""
        model = Ising(**self._keys, learns="none", field=False).double()
        model.couplings.values *= factor
        return model
