"""The check of the temperature that a sampler states: of its formula, and of its chains."""

from __future__ import annotations

import math

from ebmcore_testing.failures import NotApplicable, require
from ebmcore_testing.measures.models import Gaussian
from ebmcore_testing.measures.observed import seeded
from ebmcore_testing.measures.sampler.own_law import CHAINS
from ebmcore_testing.measures.stationary import StationaryChecks, normal
from ebmcore_testing.measures.statistics import Z

_WIDE = 1e4  # a scale beside which any step is small
_STEPS = (0.05, 0.2, 0.8)  # mean squared steps, as shares of the variance
_CAUSE = (
    "noise of another size than √(2ηT) for a step of η∇E, a temperature of its own, σ²/(2η); or "
    "clipped scores or a box, which no T describes: implied_temperature = None, unknown_law = why"
)


class TemperatureChecks(StationaryChecks):
    """Checks of `implied_temperature`."""

    def test_temperature(self) -> None:
        """`implied_temperature`, or else 1, is that of its law: T s² on a Gaussian of scale s.

        It holds by `stationary_variance` at a large s, and for chains there, in two steps. Where
        that isn't known, it holds for chains at scales that their steps cross, within the share r
        of the variance that a mean squared step is at least, where it is 2r at most: the
        unadjusted Langevin step has a bias of up to r/2 there.
        """
        stated = getattr(self.sampler(), "implied_temperature", None)
        reason = self.why_unknown()
        if stated is None and reason:
            raise NotApplicable(f"no temperature is stated, since the law isn't known: {reason}")
        if self.space() is not None or self.given("check_energy") is not None:
            raise NotApplicable("test_stationary compares it with exp(-E), T = 1, or not at all")
        wanted = 1.0 if stated is None else float(stated)
        variance = self.stationary_variance(_WIDE)
        if variance is None:
            for share in _STEPS:
                self._require_in_chains(wanted, share)
        else:
            self._require(wanted, variance / _WIDE**2, 1e-3 * max(1.0, wanted), "its own formula")
        self._require_in_chains(wanted, 0.0)

    def _require_in_chains(self, wanted: float, share: float) -> None:
        """Move exact draws of N(0, T s²); a step is a share of the variance, which must stay."""
        scale = self.scale_of_steps(share, widest=64.0) if share else _WIDE
        if scale is None or wanted == 0:  # no step is so large; no law to draw from
            return
        steps = math.ceil(3 / share) if share else 2  # a box shows at once
        x = math.sqrt(wanted) * scale * normal(CHAINS, 3)
        end = self.go(Gaussian((2,), scale).double(), x, steps, seeded(4)).x
        found = float(end.square().mean()) / scale**2
        allowed = wanted * (share + Z * math.sqrt(2 / end.numel()))
        self._require(wanted, found, allowed, f"{steps} steps after draws of it, s = {scale:.4g}")

    def _require(self, wanted: float, found: float, allowed: float, how: str) -> None:
        require(
            abs(found - wanted) <= allowed,
            "temperature",
            expected=f"a law of variance T s², T = {wanted:.6g}, where a step is small beside s",
            measured=f"T = {found:.6g}, by {how}",
            allowed=f"{allowed:.2g} more or less",
            cause=_CAUSE,
        )
