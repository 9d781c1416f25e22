"""The check of a sampler's transition matrix over all events of a small space."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ebmcore_testing.failures import NotApplicable, require
from ebmcore_testing.measures.enumerated import Coupled, Enumerated
from ebmcore_testing.measures.lattice import AllEvents, sizes
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.measures.sampler.own_law import MATRIX, OwnLaw
from ebmcore_testing.measures.sampler.transition_matrix import transition_matrix

_MOST = 32  # events, of which a matrix is read
_SHAPES = ((4,), (3,), (2,))  # tried on an energy of the kit's own, the largest first


class TransitionChecks(OwnLaw):
    """Checks of a sampler in a space of finitely many events."""

    def test_transition_matrix(self) -> None:
        """One step's matrix P leaves its law p invariant, p P = p, and is the declared one.

        P is read off the step: where it turns from one outcome to another, as the uniform numbers
        of its noise grow. So a bias shows that no number of draws would.
        """
        if not self.is_discrete():
            raise NotApplicable("its space holds infinitely many events")
        kernel = self.sampler()
        if hasattr(kernel, "sample"):
            raise NotApplicable("it offers `sample` whole, so its steps can't be tried one by one")
        for shape in self._small_shapes():
            events = AllEvents(self.space(), shape)
            own = self.given("check_energy") is not None
            energy = self.energy(shape) if own else Coupled(shape)
            found = self._read(kernel, energy, events)
            if found is not None:
                self._require_matrix(found, energy, events)
                return
        raise NotApplicable(
            f"with at most {_MOST} events, no step of it is a map of x and of few uniform or whole "
            "numbers; test_stationary compares its draws"
        )

    def _small_shapes(self) -> list[tuple[int, ...]]:
        own = self.given("check_energy") is not None or self.event_shapes
        tried = self.shapes() if own else _SHAPES
        counts = [(shape, sizes(self.space(), shape)) for shape in tried]
        return [shape for shape, count in counts if count and math.prod(count) <= _MOST]

    def _read(self, kernel: Any, energy: Any, events: AllEvents) -> Tensor | None:
        def move(x: Tensor, noise: tuple[Tensor, ...]) -> Tensor:
            end: Tensor = kernel.step(energy, self.begin(kernel, energy, x), noise)[0].x
            return end

        return transition_matrix(kernel, events, move)

    def _require_matrix(self, found: Tensor, energy: Any, events: AllEvents) -> None:
        declared = self.declared_matrix(energy, events.x)
        if declared is None and self.why_unknown():
            self.refuse_unknown_law("of finitely many events", MATRIX)
        noise = self.sampler().noise(events.x, seeded(1))
        exact = all(part.dtype != torch.float32 for part in noise)
        allowed = 1e-10 if exact else 1e-5
        if declared is not None:
            error = float((found - declared).abs().max())
            require(
                error <= allowed,
                "transition_matrix",
                expected="the matrix of one step that transition_matrix(energy, x) gives",
                measured=f"a probability that differs by {error:.3g}",
                allowed=f"{allowed:g}",
                cause="a factor of the proposal, such as the half of a half-gradient, or the "
                "formula that is declared",
            )
            if self.why_unknown():
                return
        p = Enumerated(energy, events).p
        error = float((p @ found - p).abs().max())
        require(
            error <= allowed,
            "transition_matrix",
            expected=f"the law exp(-E) of {len(events.x)} events after one step from that law",
            measured=f"a probability that one step changes by {error:.3g}",
            allowed=f"{allowed:g}",
            cause="a proposal that isn't adjusted, a ratio of proposals left out or upside down, "
            "or a conditional probability with a sign or a factor lost",
        )
