"""The checks of a sampler's law: exact draws in, k steps, and they are still draws of it.

No burn-in and no luck: a kernel that leaves a law invariant does so from the first step.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from torch import Generator, Tensor, nn

from ebmcore import Start
from ebmcore.sampling import as_kernel, carried_by, init_state, own_loop
from ebmcore_testing.failures import CheckFailed, NotApplicable, require
from ebmcore_testing.measures.models import Gaussian, TwoWells
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.measures.statistics import from_gaussian, two_samples
from ebmcore_testing.suites.suite import Suite

_CHAINS = 20_000
_BIAS = (
    "noise of another size than √(2η), a sign, a proposal ratio or a Metropolis test left out; a "
    "kernel with a known bias declares it by stationary_variance(scale)"
)


class Moved(NamedTuple):
    """Where chains ended, and the last step's info."""

    x: Tensor
    info: Any


class StationaryChecks(Suite):
    """Checks of a sampler where exact draws are known."""

    kind = "sampler"
    n_steps: int | None = None

    def stationary_variance(self, scale: float) -> float | None:
        """Return the variance of the sampler's own law on a Gaussian of that scale."""
        known = getattr(self.sampler(), "stationary_variance", None)
        known = known or getattr(type(self).target(), "stationary_variance", None)
        return known(scale) if known else scale**2

    def sampler(self) -> Any:
        """Build the sampler: a kernel, or an object with `sample`."""
        return as_kernel(self.build())

    def go(
        self, energy: nn.Module, x: Tensor, n_steps: int, generator: Generator, kernel: Any = None
    ) -> Moved:
        """Call the sampler with nothing between: the core's own care would hide its faults."""
        kernel = kernel or self.sampler()
        if hasattr(kernel, "sample"):
            found = own_loop(kernel, energy, x, n_steps, generator, carried_by(Start(x)))
            return Moved(found.x, found.info)
        state = init_state(kernel, energy, x, generator=generator, n_steps=n_steps)
        info = None
        for _ in range(n_steps):
            state, info = kernel.step(energy, state, kernel.noise(state.x, generator))
        return Moved(state.x, info)

    def test_stationary(self) -> None:
        """Exact draws of the sampler's law are still draws of it k steps later, on Gaussians.

        Level: each of at most 12 comparisons rejects what is right once in a million times.
        """
        compared = 0
        for scale in self._scales():
            variance = self.stationary_variance(scale)
            if variance is None:
                raise NotApplicable("its law on a Gaussian is not known: stationary_variance")
            if not 0 < variance < math.inf:
                continue
            compared += 1
            x = math.sqrt(variance) * self.events(_CHAINS, (2,), seed=3)
            end = self.go(Gaussian((2,), scale).double(), x, self._steps(), seeded(4)).x
            fresh = math.sqrt(variance) * self.events(_CHAINS, (2,), seed=5)
            found = from_gaussian(end.flatten(), fresh.flatten(), variance)
            require(
                found.share <= 1,
                "stationary",
                expected=f"N(0, {variance:.6g}) on a Gaussian energy of scale {scale:.4g}, "
                f"{self._steps()} steps after exact draws of it",
                measured=found.text,
                allowed=found.allowed,
                cause=_BIAS,
            )
        require(
            compared > 0,
            "stationary",
            expected="a step that has a stationary law on some Gaussian",
            measured="stationary_variance is not a positive number on any scale that was tried",
            allowed="at least one",
            cause="a formula of stationary_variance with a sign wrong",
        )

    def test_stationary_on_two_wells(self) -> None:
        """The same for a law with two modes of unequal weight, if the sampler has no bias."""
        if self.stationary_variance(1.0) != 1.0:
            raise NotApplicable("declared biased: its law is known on Gaussians alone")
        for scale in self._scales():
            energy = TwoWells(scale)
            x = energy.draw((_CHAINS // 2, 2), seeded(6))
            end = self.go(energy, x, self._steps(), seeded(7)).x
            found = two_samples(end.flatten(), energy.draw((_CHAINS,), seeded(8)))
            require(
                found.share <= 1,
                "stationary_on_two_wells",
                expected="the law of two wells, k steps after exact draws of it",
                measured=found.text,
                allowed=found.allowed,
                cause=_BIAS,
            )

    def _steps(self) -> int:
        return int(self.declared("n_steps", 20))

    def _scales(self) -> list[float]:
        """Choose scales beside which one step is not small, so that a bias would show."""
        scale = 4.0
        for _ in range(24):
            x = scale * self.events(500, (2,), seed=9)
            end = self.go(Gaussian((2,), scale).double(), x, 1, seeded(10)).x
            if float((end - x).square().mean()) > 0.5 * scale**2:
                return [scale, scale / 1.5, scale / 3, scale / 8]
            scale /= math.sqrt(2)
        raise CheckFailed(
            "stationary",
            expected="a step that moves the chains on some Gaussian, of scale 4 down to 0.001",
            measured="a mean squared step of less than half the variance on all of them",
            allowed="at least half on one of them",
            cause="a sampler that never moves, or a step size far too small to test",
        )
