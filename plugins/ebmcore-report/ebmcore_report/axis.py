"""Axes of a chart: the range, whether the scale is logarithmic, and round numbers for the ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

RATIO = 100.0  # of the highest to the lowest value, from which on a logarithmic scale serves


class Axis(NamedTuple):
    """A scale from values to places along a line of some length."""

    low: float
    high: float
    length: float
    log: bool
    ticks: Sequence[float]

    @classmethod
    def of(cls, values: Sequence[float], length: float, *, may_be_log: bool = False) -> Axis:
        """Return the axis that holds all the finite ones among the values, of which there is one.

        It is logarithmic where that is allowed, all are positive and they span a factor of 100.
        """
        finite = [value for value in values if math.isfinite(value)]
        low, high = min(finite), max(finite)
        log = may_be_log and low > 0 and high / low >= RATIO
        if log:
            low, high = math.log10(low), math.log10(high)
        if low == high:
            aside = abs(low) * 0.5 or 1.0
            low, high = low - aside, high + aside
        margin = 0.04 * (high - low) if may_be_log else 0.0
        low, high = low - margin, high + margin
        if not math.isfinite(high - low):  # they span more than a float holds
            low, high = max(low, -1e307), min(high, 1e307)
        ticks = _powers(low, high) if log else _round_numbers(low, high)
        return cls(low, high, length, log, ticks)

    def place(self, value: float) -> float:
        """Return where a value lies, between 0 and the length, also if it is beyond an end."""
        at = math.log10(value) if self.log else value
        share = (at - self.low) / (self.high - self.low)
        return self.length * min(1.0, max(0.0, share))


def _round_numbers(low: float, high: float, most: int = 5) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten within the range."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * k for k in (1, 2, 5, 10) if (high - low) / (power * k) <= most)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [k * step for k in range(first, last + 1)]


def _powers(low: float, high: float, most: int = 6) -> list[float]:
    """Return powers of ten within the range of exponents, and 2 and 5 times them in a short one."""
    first, last = math.floor(low), math.ceil(high)
    every = max(1, math.ceil((last - first) / most))
    factors = (1, 2, 5) if high - low < 1.5 else (1,)
    found = [k * 10.0**e for e in range(first, last + 1, every) for k in factors]
    return [value for value in found if low <= math.log10(value) <= high]
