"""The law of a sampler in a finite event space, or on an energy that its author gives."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from ebmcore_testing.failures import CheckFailed, NotApplicable, require
from ebmcore_testing.measures.enumerated import Coupled, Enumerated, fits
from ebmcore_testing.measures.lattice import AllEvents, few
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.measures.sampler.calls import SamplerCalls
from ebmcore_testing.measures.statistics import LEVEL, two_samples

BIAS = (
    "noise of another size than √(2η), a sign, a proposal ratio or a Metropolis test left out; a "
    "kernel with a known bias declares it by stationary_variance(scale)"
)
CHAINS = 20_000
MATRIX = "transition_matrix(energy, x)"
_COLUMNS = 11  # numbers of an event that are compared one by one


class OwnLaw(SamplerCalls):
    """A suite that knows the law of another energy than a Gaussian."""

    n_steps: int | None = None
    unknown_law: str | None = None

    def require_enumerated(self) -> None:
        """Hold the chains' events against exp(-E) summed over a finite space, by a χ² test."""
        space, own = self.space(), self.given("check_energy") is not None
        tried = self.shapes() if own or self.event_shapes else (*self.shapes(), (3,))
        shape = next((shape for shape in tried if few(space, shape)), None)
        if shape is None:
            raise NotApplicable("none of its event shapes has few enough events to enumerate them")
        events = AllEvents(space, shape)
        energy = self.energy(shape) if own else Coupled(shape)
        matrix = self.declared_matrix(energy, events.x)
        if matrix is None and self.why_unknown():
            self.refuse_unknown_law("of finitely many events", MATRIX)
        law = Enumerated(energy, events, matrix)
        x = law.draw(CHAINS, seeded(3))
        end = self.go(energy, x, self.law_steps(), seeded(4)).x
        strangers = law.strangers(end)
        require(
            strangers == 0,
            "stationary",
            expected=f"events of the space {space}",
            measured=f"{strangers} of {CHAINS} chains are elsewhere",
            allowed="none",
            cause="a step of a real number, or a probability in place of a draw",
        )
        still = int((end == x).flatten(1).all(0).sum())
        require(
            still == 0,
            "stationary",
            expected=f"each number of an event moves in some chain, in {self.law_steps()} steps",
            measured=f"{still} of {len(events.sizes)} numbers never moved",
            allowed="none",
            cause="a sweep that leaves a number out, or a proposal that is never accepted",
        )
        p_value = law.p_value(end)
        require(
            fits(p_value),
            "stationary",
            expected=f"the law {'exp(-E)' if matrix is None else 'of transition_matrix'} of "
            f"{len(events.x)} events, {self.law_steps()} steps after exact draws of it",
            measured=f"a χ² test's p-value of {p_value:.2g} over {CHAINS} chains",
            allowed=f"at least {LEVEL:g}",
            cause="a conditional probability with a sign lost, numbers drawn together that depend "
            "on each other, or a proposal ratio left out",
        )

    def declared_matrix(self, energy: Any, x: Tensor) -> Tensor | None:
        """Return the declared `transition_matrix` over all events x, (events, events), if any."""
        declared = self.declared("transition_matrix", of=self.sampler())
        if declared is None:
            return None
        with torch.no_grad():
            matrix: Tensor = declared(energy, x).double()
        return matrix

    def require_own_law(self) -> None:
        """Hold the chains' events against exact draws of `check_energy`, number by number."""
        shape = self.shapes()[0]
        energy: Any = self.energy(shape)
        if not hasattr(energy, "sample"):
            self.refuse_unknown_law("of check_energy", "a method sample(n, generator) of it")
        x, fresh = (energy.sample(CHAINS, seeded(seed)) for seed in (3, 5))
        end = self.go(energy, x, self.law_steps(), seeded(4)).x
        with torch.no_grad():
            columns = [(energy(end), energy(fresh), "energy")]
        columns += [
            (end.flatten(1)[:, i], fresh.flatten(1)[:, i], f"number {i} of the event")
            for i in range(min(end[0].numel(), _COLUMNS))
        ]
        for a, b, what in columns:
            found = two_samples(a, b)
            require(
                found.share <= 1,
                "stationary",
                expected=f"the law of check_energy's own draws, by the {what}, {self.law_steps()} "
                "steps after them",
                measured=found.text,
                allowed=found.allowed,
                cause=BIAS,
            )

    def why_unknown(self) -> str:
        """Return the declared reason why the sampler's law isn't known, or nothing."""
        return str(self.declared("unknown_law", "", of=self.sampler()))

    def refuse_unknown_law(self, where: str, declaration: str) -> NoReturn:
        """Report a law that is declared unknown, with its reason; fail without one."""
        reason = self.why_unknown()
        if reason:
            raise NotApplicable(f"its law {where} is declared unknown: {reason}")
        raise CheckFailed(
            "stationary",
            expected=f"a law {where} that can be tested, or the reason why it isn't known",
            measured="neither",
            allowed=f"{declaration}, or unknown_law = '…'",
            cause="a law test that would be skipped in silence",
        )

    def law_steps(self) -> int:
        """Return the steps between exact draws and their comparison."""
        return int(self.declared("n_steps", 20))
