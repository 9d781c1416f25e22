"""Overfitting: held-out data have higher energies than training data."""

from __future__ import annotations

import math

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding

STANDARD_ERRORS = 4.0  # of the difference: chance exceeds it 3 times in 100,000 calls


def overfit(evidence: Evidence) -> Finding | None:
    """Return whether mean E(held-out) is above mean E(data) by more than 4 standard errors.

    log Z cancels, so this is a difference of log-likelihoods, in any dimension:
    mean log q(data) - mean log q(held-out), whose expectation is 0 without overfitting.
    """
    errors = excess(evidence)
    if errors is None or evidence.of_held_out is None:
        return None
    difference = float(evidence.of_held_out.mean() - evidence.of_data.mean())
    return Finding(
        errors > STANDARD_ERRORS,
        f"the model overfits: held-out data have {difference:.3g} nats more energy than training "
        f"data, {errors:.1f} standard errors. Train for fewer train.epochs, set train.data_noise, "
        "or add the loss l2_parameters",
    )


def excess(evidence: Evidence) -> float | None:
    """Return mean E(held-out) - mean E(data) in standard errors of that difference."""
    data, held_out = evidence.of_data, evidence.of_held_out
    if held_out is None or min(len(data), len(held_out)) < 2:
        return None
    error = math.sqrt(float(data.var()) / len(data) + float(held_out.var()) / len(held_out))
    difference = float(held_out.mean() - data.mean())
    return difference / error if error > 0 and math.isfinite(difference) else None
