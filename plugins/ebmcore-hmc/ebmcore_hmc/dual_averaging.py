"""Dual averaging of a step size ε to a target acceptance δ, for each chain separately.

After step m = 1, 2, … with acceptance α: H̄ ← (1 - 1/(m + t₀)) H̄ + (δ - α)/(m + t₀);
log ε ← μ - (√m/γ) H̄; log ε̄ ← m^(-κ) log ε + (1 - m^(-κ)) log ε̄. The walk of ε never settles;
its average ε̄ does. γ = 0.05, t₀ = 10, κ = 0.75, μ = log(10 ε₀).
Source: Hoffman and Gelman 2014, "The No-U-Turn sampler", section 3.2 and algorithm 5.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

GAMMA = 0.05  # how strongly log ε is drawn to μ
T_0 = 10  # steadies the first steps
KAPPA = 0.75  # how fast the average forgets


class DualAverage(NamedTuple):
    """The adaptation of each chain so far."""

    log_step: Tensor  # (chains,), log ε, to take the next step with
    log_mean: Tensor  # (chains,), log ε̄, to keep when the warm-up ends
    shortfall: Tensor  # (chains,), H̄, how far the acceptance has fallen short of its target


def dual_average(
    acceptance: Tensor,
    step: Tensor,
    log_mean: Tensor,
    shortfall: Tensor,
    *,
    first_step_size: float,
    target: float,
) -> DualAverage:
    """Return the adaptation after one more step; all of shape (chains,); step is m, from 1 on."""
    m = step.to(acceptance.dtype)
    share = 1 / (m + T_0)
    shortfall = (1 - share) * shortfall + share * (target - acceptance)
    log_step = math.log(10 * first_step_size) - m.sqrt() / GAMMA * shortfall
    weight = m**-KAPPA
    return DualAverage(log_step, weight * log_step + (1 - weight) * log_mean, shortfall)
