"""Advice on failing runs: warns of each training failure that a run shows, with the evidence."""

from __future__ import annotations

from typing import ClassVar

from ebmcore import PositiveInt, RunView
from ebmcore_monitors.diagnoses.collapse import collapsed_samples, relative_scale
from ebmcore_monitors.diagnoses.drift import drift
from ebmcore_monitors.diagnoses.evidence import gather
from ebmcore_monitors.diagnoses.explosion import exploding_gradients
from ebmcore_monitors.diagnoses.gap import gap
from ebmcore_monitors.diagnoses.left_behind import left_behind
from ebmcore_monitors.diagnoses.movement import barely_moving, displacement, rejecting
from ebmcore_monitors.diagnoses.overfit import excess, overfit
from ebmcore_monitors.diagnoses.scales import badly_scaled, scale_ratio
from ebmcore_monitors.warn_once import WarnsOnce

DIAGNOSES = {
    "badly_scaled": badly_scaled,
    "drifting": drift,
    "gap_stays": gap,
    "left_behind": left_behind,
    "barely_moving": barely_moving,
    "rejecting": rejecting,
    "collapsed": collapsed_samples,
    "exploding": exploding_gradients,
    "overfit": overfit,
}
EVIDENCE = {
    "scale_ratio": scale_ratio,
    "displacement": displacement,
    "samples_scale": relative_scale,
    "held_out_excess": excess,
}


class Advice(WarnsOnce):
    """Warns of training failures, once each per run: evidence first, then the key to change.

    Each failure is a number, 1 while the run shows it and 0 while it doesn't; failures that can't
    be judged (no sampler, no held-out data, too short a history) are left out.

    - `badly_scaled`: a column of a table is over 20 times as wide as another (standard deviations),
      as the energy sees them. It comes before all others.
    - `drifting`: |mean E| of data or samples grows steadily and does not level off.
    - `gap_stays`: mean E(data) - mean E(samples) is beyond 2 standard deviations of the energies,
      on one side, at each call in the second half of the run; after 10 calls. Samples of the model
      where those of training may have begun at the data, and stay there however wrong it is.
    - `left_behind`: the energies of more than half of the samples are 4 standard deviations above
      the data's at two calls in a row, after one where they weren't: training turned, and samples
      become noise. The same samples as for `gap_stays`.
    - `barely_moving`: chains move less than 1 % of the data's scale in a training step.
    - `rejecting`: the sampler accepts less than 5 % of its steps.
    - `collapsed`: the samples' cloud is less than a quarter of the data's in size. Samples of the
      last training step, and of the model where those may have begun at the data.
    - `exploding`: the gradient's norm is 100 times what it was in the first half of the run.
    - `overfit`: held-out data have more energy than training data, by over 4 standard errors.

    The evidence is recorded beside them: `scale_ratio` (of the widest column to the narrowest),
    `energy_of_data` and `energy_of_samples` (mean E, nats), `gap_in_spreads` (their difference in
    standard deviations of the energies), `above_data` (the share of samples 4 standard deviations
    above the data's energies), `displacement` and `samples_scale` (in the data's scale, the root
    of its total variance), `held_out_excess` (in standard errors). A run without warnings may still
    fail: look at its figures, and at `exact_likelihood` or `two_sample`. The thresholds, each with
    its reason, are constants in `ebmcore_monitors.diagnoses`.

    Args:
        n: Number of points, at most, of the data, the held-out data and the samples each.
    """

    every = "1 epoch"
    metrics: ClassVar = (
        *DIAGNOSES,
        *EVIDENCE,
        *("energy_of_data", "energy_of_samples", "gap_in_spreads", "above_data"),
    )

    def __init__(self, *, n: PositiveInt = 2000) -> None:
        super().__init__()
        self.n = n

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return 0 or 1 for each failure that can be judged, and the evidence."""
        evidence = gather(view, self.n)
        numbers = evidence.numbers()
        for name, measure in EVIDENCE.items():
            value = measure(evidence)
            if value is not None:
                numbers[name] = value
        for name, diagnose in DIAGNOSES.items():
            finding = diagnose(evidence)
            if finding is None:
                continue
            numbers[name] = float(finding.detected)
            if finding.detected:
                self.warn(view, name, finding.text)
        return numbers
