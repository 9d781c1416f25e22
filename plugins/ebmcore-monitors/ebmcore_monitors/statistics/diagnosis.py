"""One number followed along chains, in a row of a table: its mean, quantiles, errors and R-hat."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from ebmcore_monitors.statistics.convergence import (
    ess_bulk,
    ess_tail,
    mcse_mean,
    mcse_quantile,
    rhat,
)

NOT_KNOWN = math.nan


class Diagnosis(NamedTuple):
    """The usual summary of draws; NaN for what can't be known, as of chains that never move."""

    mean: float
    mcse_mean: float  # its Monte Carlo standard error
    sd: float
    q5: float  # the 5 % quantile
    mcse_q5: float
    q95: float
    mcse_q95: float
    ess_bulk: float  # effective number of draws, of kept times chains
    ess_tail: float
    rhat: float  # 1 for chains that agree; over 1.01 they don't yet


def diagnose(draws: Tensor) -> Diagnosis:
    """Summarise the draws of a number, (kept, chains), as Vehtari et al. 2021 do.

    Source: Vehtari, Gelman, Simpson, Carpenter and Bürkner 2021, "Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC".
    """
    x = draws.double().cpu()
    flat = x.flatten()
    known = [
        NOT_KNOWN if value is None else value
        for value in (
            mcse_mean(x), mcse_quantile(x, 0.05), mcse_quantile(x, 0.95),
            ess_bulk(x), ess_tail(x), rhat(x),
        )
    ]  # fmt: skip
    of_mean, of_q5, of_q95, bulk, tail, agreement = known
    q5, q95 = (float(flat.quantile(q)) for q in (0.05, 0.95))
    return Diagnosis(
        float(flat.mean()), of_mean, float(flat.std()), q5, of_q5, q95, of_q95, bulk, tail,
        agreement,
    )  # fmt: skip
