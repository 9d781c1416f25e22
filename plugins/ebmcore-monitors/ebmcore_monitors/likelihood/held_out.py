"""Held-out nll and KL divergence of a model whose log Z is known.

    nll = mean E(x) + log Z              kl_held_out = mean [log p(x) + E(x) + log Z]

Both means are over the held-out points. kl_held_out estimates the same KL(p‖q) as nll - entropy,
but pairs log p with log q point by point: their common part, most of it for a good model, cancels
in its standard error. Of transformed data E and log Z are of x', and

    nll = mean [E(x') + log Z - log |det dx'/dx|]
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from torch import Tensor

from ebmcore import RunView
from ebmcore_monitors.likelihood.density import log_prob_of
from ebmcore_monitors.points.chunks import evaluate, split

TOLERANCE = 1e-3  # nats of quadrature error without a warning
STANDARD_ERRORS = 4.0  # by which a mean may fall below its lower bound by chance


class Normaliser(Protocol):
    """log Z of a model, by quadrature or enumeration."""

    @property
    def log_z(self) -> float:
        """In nats."""

    @property
    def log_z_error(self) -> float:
        """By how many nats log_z may be off."""

    @property
    def may_miss(self) -> str:
        """How mass of the model may be missing in log Z, the first of the usual causes."""


class Mean(NamedTuple):
    """A mean over independent points."""

    value: float
    error: float  # one standard error; infinite for a single point

    @classmethod
    def of(cls, values: Tensor) -> Mean:
        """Take the mean of values, (n,)."""
        error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.inf
        return cls(float(values.mean()), error)

    def is_below(self, floor: float, tolerance: float) -> bool:
        """Return whether it is below a lower bound by more than chance and the tolerance."""
        return self.value < floor - STANDARD_ERRORS * self.error - tolerance


def of_held_out(view: RunView, normaliser: Normaliser, entropy: float | None) -> dict[str, float]:
    """Return those of nll, floor_gap, kl_held_out and its error that are known and possible."""
    if len(view.held_out) == 0:
        return {}
    energy = evaluate(view.energy, split(view.held_out))
    tolerance = TOLERANCE + normaliser.log_z_error
    cause = (
        f"Usually {normaliser.may_miss}the held-out data are not from the data's density, or "
        "log_prob is not normalised"
    )
    minus_log_q = energy + normaliser.log_z
    log_det = view.held_out_log_det
    own = minus_log_q if log_det is None else minus_log_q - log_det.cpu().double()
    numbers = _likelihood(view, Mean.of(own), entropy, tolerance, cause)
    return numbers | _divergence(view, minus_log_q, tolerance, cause)


def _likelihood(
    view: RunView, nll: Mean, entropy: float | None, tolerance: float, cause: str
) -> dict[str, float]:
    if not math.isfinite(nll.value):
        view.warn(f"the held-out nll is {nll.value}: the energy is not finite at held-out data")
        return {}
    if entropy is None:
        return {"nll": nll.value}
    if nll.is_below(entropy, tolerance):
        view.warn(
            f"the held-out nll, {nll.value:.4f} nats, is below the data's entropy, {entropy:.4f}, "
            f"by more than {STANDARD_ERRORS:.0f} standard errors ({nll.error:.4f} each), which is "
            f"impossible, so it is not recorded. {cause}"
        )
        return {}
    return {"nll": nll.value, "floor_gap": nll.value - entropy}


def _divergence(
    view: RunView, minus_log_q: Tensor, tolerance: float, cause: str
) -> dict[str, float]:
    """Return the paired estimate of KL(data‖model); minus_log_q is (held-out points,), in nats."""
    log_prob = log_prob_of(view.dataset)
    if log_prob is None or not bool(minus_log_q.isfinite().all()):  # nll warned of the latter
        return {}
    log_p = evaluate(log_prob, split(view.held_out.cpu().double()))
    lost = int((~log_p.isfinite()).sum())
    if lost:
        view.warn(
            f"log_prob is not finite at {lost} of {len(log_p)} held-out points, so kl_held_out "
            "can't be computed: they are not from the data's density, or on the edge of its support"
        )
        return {}
    kl = Mean.of(log_p + minus_log_q)
    if kl.is_below(0.0, tolerance):
        view.warn(
            f"KL(data‖model) from held-out points is {kl.value:.4f} nats, below 0 by more than "
            f"{STANDARD_ERRORS:.0f} standard errors ({kl.error:.4f} each), which is impossible, so "
            f"it is not recorded. {cause}"
        )
        return {}
    numbers = {"kl_held_out": kl.value}
    if math.isfinite(kl.error):
        numbers["kl_held_out_error"] = kl.error
    return numbers
