"""The exact likelihood, where Z can be computed: few dimensions, or few events."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from ebmcore import PositiveFloat, PositiveInt, Real, RunView, Space
from ebmcore_monitors.likelihood.density import CachedDensity, log_det_on, original
from ebmcore_monitors.likelihood.enumeration import (
    ESTIMATED,
    Enumeration,
    enumerate_events,
    events_like,
    sizes_of,
)
from ebmcore_monitors.likelihood.held_out import TOLERANCE, of_held_out
from ebmcore_monitors.likelihood.labels import over_labels, over_labels_of_events
from ebmcore_monitors.likelihood.quadrature import LEAK, Quadrature, integrate
from ebmcore_monitors.points.grid import box_around
from ebmcore_monitors.warn_once import WarnsOnce

POINTS = {1: 2001, 2: 301, 3: 101}  # per dimension, by the number of dimensions
COARSE = 1e-2  # nats by which log Z may differ between the grid and every second point of it
MOST_OF_EACH = 400  # points of chains, held-out and training data at which wells are looked for
MASS = 1e-3  # how far from 1 the data's mass may be
WRONG_MASS = 1e-2  # an error of the data's mass from which kl and entropy are not recorded
OTHER_TEMPERATURE = 1e-6  # share by which T may differ from 1 and still count as 1


class ExactLikelihood(WarnsOnce):
    """Likelihood and KL divergence of a model, log Z by quadrature or enumeration; in nats.

    Real events of 1 to 3 numbers: by quadrature, as follows. Binary and categorical events, when
    there are at most 2^20 of them: each integral is the sum over all of them, exactly; `points` and
    `margin` are unused, and there is no `leak`.

    - `log_z`: log ∫ exp(-E(x)) dx by the product trapezoid rule over the data's range and a margin.
      Where mass leaks out of it the box is doubled, twice at most, if that ends the leak or lowers
      it tenfold: never for an energy that doesn't rise. Where the grid doesn't resolve the energy,
      or a well lies between its points or outside it, adaptive cubature refines it.
    - `log_z_error`: nats by which `log_z` may be off; more than 0.01 warns.
    - `leak`: share of the model's mass in the outermost points of the grid; more than 1e-6 warns at
      the second look in a row, or where a run ends with it.
    - `nll`: mean E(x) + log Z over held-out data; left out without held-out data.
    - `kl`: KL(data‖model) = ∫ p (log p - log q) dx on the same grid, when the dataset has a
      `log_prob(x)`, and `mass`: ∫ p dx, which warns when it is not 1.
    - `entropy`: of the data, -∫ p log p dx, or the dataset's own `entropy` when it has only that.
    - `floor_gap`: nll - entropy. It estimates KL(data‖model) from the held-out points.
    - `kl_held_out`: mean of log p(x) - log q(x) over held-out data, and `kl_held_out_error`, its
      standard error, when the dataset has a `log_prob(x)`. The same KL as `floor_gap`, but paired
      point by point, so far more certain; unlike `kl` it doesn't need a grid that resolves p:
      where p has jumps, watch this one.

    Wells are searched from the points that tell of one: data, held-out data and chains, at most 400
    each, where their energy is far below the grid's around them or they lie outside it, and rays
    from the box to 16 times its size where the energy falls again. A well that none of these and no
    point of the grid touches, nor leads down to, can't be seen by evaluating the energy: neither
    `log_z` nor `log_z_error` counts it. A narrow, heavy one far from data and chains, or between
    them, is such. The monitor warns when chains lie outside the grid, when the energy falls without
    end outside it, and when wells are more or thinner than the evaluations allow: 2 for each point
    of the grid, at least 2^16, 2^18 and 2^20 in 1, 2 and 3 dimensions.

    A held-out nll below the data's entropy (by more than chance: 4 standard errors) and a negative
    KL are impossible: the monitor warns of such a number and does not record it. A warning that the
    grid leaks means that the recorded numbers are those of the model cut off by the box. Chains
    that ran at another temperature than 1 do not sample exp(-E), whose likelihood this is: the
    monitor warns once, and records the numbers.

    Transforms of the data are counted: log Z and the grid are in the units of the transformed
    events, nll and entropy in the data's own, log p(x) = log p'(x') + log |det dx'/dx|; a KL is the
    same in both. Where a transform has no log |det| only log_z and `leak` are recorded, with a
    warning. `dequantise` makes nll an upper bound of that of whole numbers.

    Larger events are refused, unless `estimate` names a monitor that estimates their likelihood,
    such as `log_z` of ebmcore-estimators: its numbers are then recorded in place of these, under
    its own names, which say that they are estimates: `log_z_estimate`, `log_z_low`, `log_z_high`,
    `nll_estimate`, `nll_low`, `nll_high`; `log_z_error` is then a standard error. It takes seconds
    at each look, so set `every: end`.

    Of an energy that requires labels it judges Σ_y π_y p(x | y), π the shares of the training
    labels, with a log Z for each; the log_z recorded is then 0.

    Source: Cover and Thomas, Elements of Information Theory, 2nd ed. 2006, theorem 8.6.1
    (KL(p‖q) >= 0 for densities).

    Args:
        points: Grid points per dimension, made odd; 2001, 301 and 101 in 1, 2 and 3 if null.
        margin: Share of the data's range that the grid adds beyond it on each side.
        estimate: A monitor that estimates where neither quadrature nor enumeration can go: `log_z`,
            or with keys of its own, {type: log_z, n: 1024}.
    """

    every = "5 epochs"
    metrics: ClassVar = (
        *("log_z", "log_z_error", "leak", "mass", "entropy", "kl"),
        *("nll", "floor_gap", "kl_held_out", "kl_held_out_error"),
        *("log_z_estimate", "log_z_low", "log_z_high", "ess"),
        *("nll_estimate", "nll_low", "nll_high"),
    )
    evaluates = True  # `ebmcore evaluate` runs it on a trained model

    def __init__(
        self,
        *,
        points: PositiveInt | None = None,
        margin: PositiveFloat = 0.5,
        estimate: Callable[[RunView], Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.points = points
        self.margin = margin
        self.estimate = estimate
        self._density = CachedDensity()

    def check(self, event_shape: tuple[int, ...], space: Space = Real()) -> None:  # noqa: B008 (frozen)
        """Raise ValueError unless events have 1 to 3 real numbers, or there are few of them.

        Of more than these the estimate, if there is one, says whether it takes them.
        """
        reason = _too_many(event_shape, space)
        if not reason:
            return
        if self.estimate is None or not isinstance(space, getattr(self.estimate, "spaces", Space)):
            raise ValueError(reason)
        if hasattr(self.estimate, "check"):
            self.estimate.check(event_shape, space)

    def __call__(self, view: RunView) -> Mapping[str, Any]:
        """Return the numbers that can be computed; warn of those that can't be trusted."""
        self.check(view.data.shape[1:], view.space)
        if self.estimate is not None and _too_many(view.data.shape[1:], view.space):
            return self.estimate(view)
        self._audit_temperature(view)
        if not isinstance(view.space, Real):
            return _of_all_events(view, uncounted=self._is_uncounted(view))
        known = torch.cat([view.data, view.held_out]) if len(view.held_out) else view.data
        # at least 5, so that every second point still makes a grid; odd, so that it has both ends
        points = max(5, self.points or POINTS[view.data[:1].numel()]) | 1
        box = box_around(known, self.margin)
        known = _known_points(view)
        view = over_labels(view, box, points, known)
        quadrature = integrate(
            view.energy,
            lambda grid: self._density.on(view.dataset, grid, view.data),
            view.data,
            box,
            points,
            known,
        )
        if not math.isfinite(quadrature.log_z):
            view.warn("the energy is NaN or infinite on the grid, so log Z can't be computed")
            return {}
        log_z_error = quadrature.log_z_error + getattr(view.energy, "log_z_error", 0.0)
        self._warn_of_leak(view, quadrature.leak)
        _warn_of_error(view, quadrature, log_z_error)
        self._warn_of_chains(view, quadrature)
        numbers = {
            "log_z": quadrature.log_z,
            "log_z_error": log_z_error,
            "leak": quadrature.leak,
        }
        if self._is_uncounted(view):
            return numbers
        log_det = log_det_on(view.dataset, quadrature.grid.chunks(view.data.cpu().double()))
        return numbers | _compared(view, quadrature, log_det)

    def _is_uncounted(self, view: RunView) -> bool:
        """Whether a transform of the data has no log |det|; warn of it once."""
        if view.transforms is None or (len(view.held_out) == 0 and view.dataset is None):
            return False
        name = "" if view.held_out_log_det is not None else view.transforms.without_log_det
        if name:
            self.warn(
                view,
                "transforms",
                f"transform {name!r} has no log |det|, so the model's density isn't one of the "
                "data in their own units: neither nll nor a comparison with the data's density is "
                "recorded",
            )
        return bool(name)

    def _warn_of_leak(self, view: RunView, leak: float) -> None:
        """Warn once of a leak that lasts; an energy that is hardly trained may rise yet."""
        text = (
            f"the grid cuts mass off: {leak:.1e} of the model's mass lies in its outermost points. "
            "The energy may not rise far from the data, or the grid is too small: then raise "
            "`margin`"
        )
        self.warn_if_it_lasts(view, "leak", text if leak > LEAK else "")

    def _warn_of_chains(self, view: RunView, quadrature: Quadrature) -> None:
        """Warn once of chains outside the grid, which the numbers on it don't judge."""
        if view.x_neg is None:
            return
        low, high = quadrature.grid.ends
        x = view.x_neg.flatten(1).cpu().double()
        outside = int(((x < low) | (x > high)).any(1).sum())
        if outside:
            self.warn(
                view,
                "outside",
                f"{outside} of {len(x)} chains lie outside the grid, from {_point(low)} to "
                f"{_point(high)}. log Z counts the wells that they lead to; `leak`, `mass` and the "
                "data's density are of the grid alone. If the chains have not diverged, raise "
                "`margin`",
            )

    def _audit_temperature(self, view: RunView) -> None:
        temperature = getattr(view.kernel, "implied_temperature", None)
        reason = getattr(view.kernel, "unknown_law", "")
        if temperature is None and reason:
            self.warn(
                view,
                "temperature",
                f"the chains' density isn't known: {reason}; the likelihood, log Z and KL recorded "
                "here are those of exp(-E), which the samples' density may be far from",
            )
        if temperature is None or abs(float(temperature) - 1.0) <= OTHER_TEMPERATURE:
            return
        self.warn(
            view,
            "temperature",
            f"the sampler's chains ran at temperature {float(temperature):.4g}, so they sample "
            f"exp(-E/{float(temperature):.4g}); the likelihood, log Z and KL recorded here are "
            "those of exp(-E), not of the samples' density. Set the sampler's temperature to 1 to "
            "make the two agree",
        )


def _too_many(event_shape: tuple[int, ...], space: Space) -> str:
    """Say why neither quadrature nor enumeration can go to such events, or nothing."""
    if not isinstance(space, Real):
        try:
            sizes_of(event_shape, space)
        except ValueError as error:
            return str(error)
    elif torch.Size(event_shape).numel() not in POINTS:
        return (
            "exact_likelihood integrates over 1 to 3 dimensions; an event of this run has "
            f"{torch.Size(event_shape).numel()}, shape {tuple(event_shape)}. {ESTIMATED}"
        )
    return ""


def _point(x: Tensor) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in x.tolist()) + ")"


def _known_points(view: RunView) -> Tensor:
    """Return points where the model may have mass: chains, held-out and training data."""
    parts = (view.x_neg, view.held_out, view.data)
    return torch.cat([x[:: -(-len(x) // MOST_OF_EACH)] for x in parts if x is not None and len(x)])


def _compared(
    view: RunView, normaliser: Quadrature | Enumeration, log_det: Tensor | None
) -> dict[str, float]:
    """Return the numbers of the data's density and of held-out data, in the data's own units."""
    numbers = _of_density(view, normaliser, log_det)
    entropy = numbers.get("entropy", getattr(original(view.dataset), "entropy", None))
    if isinstance(entropy, float):
        numbers["entropy"] = entropy
    return numbers | of_held_out(view, normaliser, numbers.get("entropy"))


def _of_all_events(view: RunView, *, uncounted: bool) -> dict[str, float]:
    view = over_labels_of_events(view)
    enumeration = enumerate_events(view.energy, view.dataset, view.data, view.space)
    if not math.isfinite(enumeration.log_z):
        view.warn("the energy is NaN or infinite at some event, so log Z can't be computed")
        return {}
    numbers = {"log_z": enumeration.log_z}
    if uncounted:
        return numbers
    log_det = log_det_on(view.dataset, events_like(view.data.cpu().double(), view.space))
    return numbers | _compared(view, enumeration, log_det)


def _warn_of_error(view: RunView, quadrature: Quadrature, log_z_error: float) -> None:
    doubts = [*quadrature.doubts, *getattr(view.energy, "doubts", ())]
    if not doubts and log_z_error <= COARSE:
        return
    too_coarse = (
        "the energy bends too sharply for the evaluations allowed; raise `points` "
        f"(now {quadrature.grid.shape[0]})"
    )
    view.warn(
        f"log Z, {quadrature.log_z:.4f}, may be off by {log_z_error:.2g} nats"
        + (" or more: " if doubts else ": ")
        + "; ".join(doubts or [too_coarse])
    )


def _of_density(
    view: RunView, quadrature: Quadrature | Enumeration, log_det: Tensor | None
) -> dict[str, float]:
    """Return those of mass, entropy and kl that are known and possible.

    Shapes: log_det (points,), of the data's transforms where they have images, in nats.
    """
    mass = quadrature.mass
    if mass is None or quadrature.log_p is None:
        return {}
    numbers = {"mass": mass}
    there, or_grid, or_coarse = "all events", "", ""
    if isinstance(quadrature, Quadrature):
        there, or_coarse = "the grid", ", or the grid is too coarse"
        or_grid = ", or the grid is too coarse or too small (raise `points` or `margin`)"
    if not abs(mass - 1) <= MASS:
        wrong = not abs(mass - 1) <= WRONG_MASS
        view.warn(
            f"the data's density integrates to {mass:.5f} over {there} instead of 1: log_prob is "
            f"not normalised{or_grid}" + ("; kl and entropy are not recorded" if wrong else "")
        )
        if wrong:
            return numbers
    log_p = quadrature.log_p if log_det is None else quadrature.log_p + log_det
    numbers["entropy"] = quadrature.expectation(-log_p)
    kl = quadrature.expectation(quadrature.log_p - quadrature.log_q)
    if kl < -TOLERANCE:
        view.warn(
            f"KL(data‖model) = {kl:.5f} nats is below 0, which is impossible, so it is not "
            f"recorded. Usually log_prob is not normalised over {there}{or_coarse}"
        )
    elif math.isfinite(kl):
        numbers["kl"] = kl
    else:
        view.warn(f"KL(data‖model) is {kl}: the energy is not finite where the data have mass")
    return numbers
