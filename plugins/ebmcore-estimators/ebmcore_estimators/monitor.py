"""The monitor `log_z`: an estimate of a model's log Z, and of its likelihood, with a bracket."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch

from ebmcore import (
    Binary,
    Categorical,
    Kernel,
    NonNegativeInt,
    PositiveInt,
    Real,
    RunView,
    Space,
    conditioned,
)
from ebmcore_estimators.bases import Base, Gaussian, Uniform
from ebmcore_estimators.estimates import Bracket, bracket
from ebmcore_estimators.moves import refuse_biased

FITTED = 10_000  # points of the data, at most, to which the base is fitted
CHUNK = 2048  # held-out points whose energies are evaluated at once
GROUPS = 16  # of walkers
WIDE = 1.0  # nats from which the bracket is too wide to compare models by
FEW = 32  # effective starts under which a standard error can't be relied on
EXACT_NUMBERS = 3  # of a real event, and
EXACT_EVENTS = 2**20  # discrete events, at most, where exact_likelihood computes log Z


class LogZMonitor:
    """log Z of a model in any dimension, and the nll of held-out data: estimates, with a bracket.

    - `log_z_estimate`: log ∫ exp(-E(x)) dx, or Σ over discrete events, in nats, by sequential Monte
      Carlo from a Gaussian fitted to the data, or from the uniform law on discrete events.
    - `log_z_error`: its standard error; `ess`: how many of the `n` walkers' starts count.
    - `log_z_low`, `log_z_high`: a bracket. The lower end is the estimate less two standard errors;
      the upper one begins at the walkers' ends, and at data, both moved on, and anneals back.
      In all three the walkers reach a mode only if some path leads there: one that neither the base
      nor the data lead to is seen by none.
    - `nll_estimate`, `nll_low`, `nll_high`: mean E(x) + log Z over held-out data, in the data's own
      units, of each of the three. They are not recorded where a transform has no log |det|.

    It warns when the bracket is wider than 1 nat, and when the standard error is that of too few
    effective starts. Where log Z can be computed exactly, in 1 to 3 numbers or for at most 2^20
    events, use `exact_likelihood`; with `small` it is estimated there, too.

    It takes seconds on a small network, and in proportion to `n` and `steps`. `ebmcore evaluate`
    runs it too, unless you name the monitors.

    Raises ValueError for events that have fewer or more numbers than it is meant for, for an energy
    that requires labels, and for a kernel that doesn't leave exp(-E) invariant.
    Source: Neal 2001; Del Moral, Doucet and Jasra 2006; Grosse, Ghahramani and Adams 2015; see
    `ebmcore_estimators.bracket`, which it calls.

    Args:
        n: Walkers, made a multiple of 16.
        steps: Steps of the path; by default four times as many as a pilot took to find one.
        leapfrog: Gradients of a Hamiltonian move of real events.
        jumps: Jumps before each Hamiltonian move: some numbers are drawn anew, as the
            pilot's are spread. They lead out of wells that lie along single numbers.
        kernel: Another move: a sampler that leaves exp(-E) invariant, such as `mala`; by default
            Hamiltonian ones that a pilot adapts, or the heat bath of discrete events.
        small: Whether to estimate log Z also where `exact_likelihood` computes it.
        most: Numbers of an event, at most. Larger events take long: raise it if you can wait.
    """

    every = "end"
    spaces: ClassVar = (Real, Binary, Categorical)
    metrics: ClassVar = (
        *("log_z_estimate", "log_z_error", "log_z_low", "log_z_high", "ess"),
        *("nll_estimate", "nll_low", "nll_high"),
    )
    takes_mask = True  # where there is one it records nothing, with the reason
    evaluates = True  # `ebmcore evaluate` runs it on a trained model
    check_params: ClassVar = {"n": 32, "steps": 8, "small": True}

    def __init__(
        self,
        *,
        n: PositiveInt = 256,
        steps: PositiveInt | None = None,
        leapfrog: PositiveInt = 4,
        jumps: NonNegativeInt = 0,
        kernel: Kernel | None = None,
        small: bool = False,
        most: PositiveInt = 256,
    ) -> None:
        if kernel is not None:
            refuse_biased(kernel)
        self.n = GROUPS * max(2, math.ceil(n / GROUPS))
        self.steps = steps
        self.leapfrog = leapfrog
        self.jumps = jumps
        self.kernel = kernel
        self.small = small
        self.most = most

    def check(
        self,
        event_shape: tuple[int, ...],
        space: Space = Real(),  # noqa: B008 (frozen)
        energy: Any = None,
    ) -> None:
        """Raise ValueError for labels, and for events of fewer or more numbers than it is for."""
        if energy is not None and conditioned(energy, y=0) is not energy:
            raise ValueError(
                "the energy requires labels, and each has a log Z of its own: none is estimated. "
                "Remove log_z"
            )
        numbers, sizes = math.prod(event_shape), space.sizes(event_shape)
        few = numbers <= EXACT_NUMBERS if sizes is None else math.prod(sizes) <= EXACT_EVENTS
        if few and not self.small:
            raise ValueError(
                f"exact_likelihood computes log Z of {space} events of shape {tuple(event_shape)} "
                "exactly. Remove log_z, or set `small: true` to estimate it, too"
            )
        if numbers > self.most:
            raise ValueError(
                f"an event of {numbers} numbers is larger than `most`, {self.most}, since log_z "
                "takes long there; raise `most` if you can wait"
            )

    def __call__(self, view: RunView) -> dict[str, float]:
        """Return the estimates; warn of those that can't be relied on."""
        self.check(view.data.shape[1:], view.space, view.energy)
        if view.data_mask is not None:
            view.warn(
                "events have several lengths, each with a log Z of its own: none is estimated"
            )
            return {}
        _audit_temperature(view)
        try:
            found = self._bracket(view)
        except ValueError as error:
            view.warn(f"log Z can't be estimated: {error}")
            return {}
        forward = found.forward
        ends = (forward.log_z, found.low, found.high)
        if not all(map(math.isfinite, ends)):
            view.warn("log Z can't be estimated: the energy is NaN or infinite along the path")
            return {}
        _warn_of(view, found)
        numbers = {
            "log_z_estimate": forward.log_z,
            "log_z_error": forward.standard_error,
            "log_z_low": found.low,
            "log_z_high": found.high,
            "ess": forward.ess,
        }
        energy = _held_out_energy(view)
        if energy is None:
            return numbers
        names = ("nll_estimate", "nll_low", "nll_high")
        return numbers | {name: energy + end for name, end in zip(names, ends, strict=True)}

    def _bracket(self, view: RunView) -> Bracket:
        return bracket(
            view.energy, _base(view), data=view.data, n=self.n, groups=GROUPS, steps=self.steps,
            leapfrog=self.leapfrog, jumps=self.jumps, kernel=self.kernel, generator=view.generator,
        )  # fmt: skip


def _base(view: RunView) -> Base:
    """Return the base of a run's path: of its space, fitted to its data."""
    x = view.data
    if not isinstance(view.space, Real):
        return Uniform(x.shape[1:], view.space, device=x.device, dtype=x.dtype)
    return Gaussian.fitted(x[:: -(-len(x) // FITTED)])


@torch.no_grad()
def _held_out_energy(view: RunView) -> float | None:
    """Return the mean energy of held-out data in their own units, in nats, if it is known."""
    if len(view.held_out) == 0:
        return None
    values = torch.cat([view.energy(x).double() for x in torch.split(view.held_out, CHUNK)])
    if view.transforms is not None:
        if view.held_out_log_det is None:
            view.warn(
                f"transform {view.transforms.without_log_det!r} has no log |det|, so the model's "
                "density isn't one of the data in their own units: no nll is recorded"
            )
            return None
        values = values - view.held_out_log_det.to(values)
    return float(values.mean())


def _warn_of(view: RunView, found: Bracket) -> None:
    """Warn of an estimate that is too uncertain to compare models by."""
    forward, doubts = found.forward, list[str]()
    if found.width > WIDE:
        doubts.append(f"its bracket, {found.low:.4g} to {found.high:.4g}, is wider than {WIDE:g}")
    if forward.ess < FEW:
        doubts.append(f"only {forward.ess:.3g} of {len(forward.x)} walkers' starts count")
    if doubts:
        view.warn(
            f"log Z, about {forward.log_z:.4f} nats, is uncertain: {', and '.join(doubts)}. Raise "
            f"`n` (now {len(forward.x)}) or `steps` ({forward.path.steps})"
        )


def _audit_temperature(view: RunView) -> None:
    """Warn of chains at another temperature, whose density isn't the one that is judged."""
    temperature = getattr(view.kernel, "implied_temperature", None)
    if temperature is not None and abs(float(temperature) - 1) > 1e-6:
        view.warn(
            f"the sampler's chains ran at temperature {float(temperature):.4g}; log Z and nll are "
            "those of exp(-E), not of the samples' density"
        )
