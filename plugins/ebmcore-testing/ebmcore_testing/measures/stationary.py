"""The checks of a sampler's law: exact draws in, k steps, and they are still draws of it.

No burn-in and no luck: a kernel that leaves a law invariant does so from the first step.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ebmcore_testing.failures import CheckFailed, NotApplicable, require
from ebmcore_testing.measures.models import Gaussian, TwoWells
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.measures.sampler.own_law import BIAS, CHAINS, OwnLaw
from ebmcore_testing.measures.statistics import from_gaussian, two_samples


class StationaryChecks(OwnLaw):
    """Checks of a sampler where exact draws are known."""

    def stationary_variance(self, scale: float) -> float | None:
        """Return the variance of the sampler's own law on a Gaussian of that scale."""
        known = self._known_variance()
        return known(scale) if known else scale**2

    def test_stationary(self) -> None:
        """Exact draws of the sampler's law are still draws of it k steps later.

        The law is that of Gaussians; in a space of finitely many events, it is enumerated; of a
        `check_energy` with `sample(n, generator)`, its draws. Level: each of at most 12 comparisons
        rejects what is right once in a million times.
        """
        if self.is_discrete():
            self.require_enumerated()
        elif self.given("check_energy") is not None:
            self.require_own_law()
        elif self.space() is not None:
            self.refuse_unknown_law(f"in the space {self.space()}", "check_energy")
        else:
            self._require_gaussian()

    def _require_gaussian(self) -> None:
        compared = 0
        for scale in self._scales():
            variance = self.stationary_variance(scale)
            if variance is None:
                self.refuse_unknown_law("on a Gaussian", "stationary_variance(scale)")
            if not 0 < variance < math.inf:
                continue
            compared += 1
            x = math.sqrt(variance) * normal(CHAINS, 3)
            end = self.go(Gaussian((2,), scale).double(), x, self.law_steps(), seeded(4)).x
            fresh = math.sqrt(variance) * normal(CHAINS, 5)
            found = from_gaussian(end.flatten(), fresh.flatten(), variance)
            require(
                found.share <= 1,
                "stationary",
                expected=f"N(0, {variance:.6g}) on a Gaussian energy of scale {scale:.4g}, "
                f"{self.law_steps()} steps after exact draws of it",
                measured=found.text,
                allowed=found.allowed,
                cause=BIAS,
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
        """The same for a law with two modes of unequal weight, if the sampler has no bias there.

        A sampler that declares `stationary_variance` promises its law on Gaussians alone, unless
        it declares `unbiased`, too.
        """
        if self.space() is not None or self.given("check_energy") is not None:
            raise NotApplicable("it is checked on an energy or in a space of its own")
        variance = self.stationary_variance(1.0)
        if variance is None:
            self.refuse_unknown_law("on a Gaussian", "stationary_variance(scale)")
        if variance != 1.0:
            raise NotApplicable("declared biased: its law is known on Gaussians alone")
        if self._declares_variance() and not self.declared("unbiased", False, of=self.sampler()):
            raise NotApplicable(
                "its law is declared on Gaussians alone; with no bias on any energy, declare "
                "unbiased = True"
            )
        for scale in self._scales():
            energy = TwoWells(scale)
            x = energy.draw((CHAINS // 2, 2), seeded(6))
            end = self.go(energy, x, self.law_steps(), seeded(7)).x
            found = two_samples(end.flatten(), energy.draw((CHAINS,), seeded(8)))
            require(
                found.share <= 1,
                "stationary_on_two_wells",
                expected="the law of two wells, k steps after exact draws of it",
                measured=found.text,
                allowed=found.allowed,
                cause=BIAS,
            )

    def _known_variance(self) -> Any:
        known = getattr(self.sampler(), "stationary_variance", None)
        return known or getattr(type(self).target(), "stationary_variance", None)

    def _declares_variance(self) -> bool:
        overridden = type(self).stationary_variance is not StationaryChecks.stationary_variance
        return overridden or self._known_variance() is not None

    def scale_of_steps(self, share: float, widest: float = 4.0) -> float | None:
        """Return the widest scale whose variance a mean squared step is more than a share of."""
        for halvings in range(24):
            scale = widest / math.sqrt(2) ** halvings
            x = scale * normal(500, 9)
            end = self.go(Gaussian((2,), scale).double(), x, 1, seeded(10)).x
            if float((end - x).square().mean()) > share * scale**2:
                return scale
        return None

    def _scales(self) -> list[float]:
        """Choose scales beside which one step is not small, so that a bias would show."""
        scale = self.scale_of_steps(0.5)
        if scale is not None:
            return [scale, scale / 1.5, scale / 3, scale / 8]
        raise CheckFailed(
            "stationary",
            expected="a step that moves the chains on some Gaussian, of scale 4 down to 0.001",
            measured="a mean squared step of less than half the variance on all of them",
            allowed="at least half on one of them",
            cause="a sampler that never moves, or a step size far too small to test",
        )


def normal(n: int, seed: int) -> Tensor:
    """Draw N(0, I), (n, 2)."""
    return torch.randn((n, 2), generator=seeded(seed), dtype=torch.float64)
