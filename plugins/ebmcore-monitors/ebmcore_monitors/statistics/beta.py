"""Quantiles of Beta distributions: torch has none, and they are all that SciPy would be needed for.

With t = logit x, Beta(a, b) has the smooth density exp(a log x + b log(1 - x)) up to a constant,
whose integral from far on the left is taken by Gauss and Legendre's rule and inverted by bisection.
"""

from __future__ import annotations

import math

import numpy as np

POINTS = 400  # of the rule
HALVINGS = 60  # of the interval that holds a quantile
REACH = 40.0  # standard deviations, or e-foldings of an exponential tail, that count


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return x with P(X <= x) = p for X ~ Beta(a, b), a, b >= 1; to 1e-10.

    Raises ValueError for p outside (0, 1) or parameters below 1.
    """
    if not 0 < p < 1 or min(a, b) < 1:
        raise ValueError(f"needs 0 < p < 1 and a, b >= 1; got p = {p}, a = {a}, b = {b}")
    mode = math.log(a / b)
    spread = math.sqrt(1 / a + 1 / b)
    first = mode - REACH * max(min(spread, 1.0), 1 / a)
    last = mode + REACH * max(min(spread, 1.0), 1 / b)
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    log_peak = -a * math.log1p(math.exp(-mode)) - b * math.log1p(math.exp(mode))

    def mass(low: float, high: float) -> float:
        t = (low + high) / 2 + (high - low) / 2 * nodes
        logs = -a * np.logaddexp(0, -t) - b * np.logaddexp(0, t) - log_peak
        return float(weights @ np.exp(logs)) * (high - low) / 2

    aim = p * mass(first, last)
    low, high = first, last
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if mass(first, middle) < aim else (low, middle)
    return 1 / (1 + math.exp(-(low + high) / 2))
