"""Whether the sampler's step suits the energy and the data, measured while a run trains.

Every ten training steps of the first hundred, and every fifty of the rest, some chains take one
more step x → x' of the kernel, with noise of its own; training doesn't see it. A step fails where

- no Gaussian energy gives chains as narrow as the data's local spread (`Kernel.step_for`), so that
  the energy grows steeper without end;
- it is unstable (`Kernel.stable_step`) at the curvature κ = ‖s(x') - s(x)‖ / ‖x' - x‖ of a tenth of
  the chains, and the chains' energies have left those of the data;
- nearly all proposals are rejected.

The measurements stay on the device until a report, at step 50, 100, ….
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore.config import Train
from ebmcore.contracts import Start
from ebmcore.distributed.comm import Ranks
from ebmcore.errors import ConfigError, Problem
from ebmcore.sampling import (
    MARGIN,
    StepSize,
    conditioned,
    energy_and_score,
    evaluating,
    init_state,
    local_spread,
)
from ebmcore.sampling.borrowed import borrowed
from ebmcore.train.components import Parts
from ebmcore.train.divergence import Divergence
from ebmcore.train.loop.recorder import Recorder
from ebmcore.train.rng import Streams, own_global_stream
from ebmcore.train.types import StepResult

EARLY = 10  # training steps between measurements, in the first HUNDRED and of a fitted step size
REPORT = 50  # between reports; later, between measurements too
HUNDRED = 100
CHAINS = 256  # that are measured, at most
IN_A_ROW = 3  # measurements that have to agree
AWAY = 1.0  # standard deviations of the data's energies, over which the chains' have left them
STUCK = 0.01  # share of proposals that are kept, under which a sampler is stuck


class Measured(NamedTuple):
    """One measurement, as numbers of the host."""

    curvature: float  # that which a tenth of the chains exceed, nats per squared unit of x
    gap: float  # mean energy of the chains over that of the data, nats
    spread: float  # standard deviation of the data's energies, nats
    acceptance: float  # mean share of the proposals that are kept; NaN: the kernel keeps all
    size: float  # the step size


class Stability:
    """Measures a run's sampler, fits its step size if that is a `StepSize`, and says if it fails.

    Args:
        parts: With the sampler; nothing is measured without one that declares its steps, or if its
            step_size isn't one number: none, as of `nuts`, or one for each coordinate.
        train: Its `on_unstable` is the response to a step that fails.
        streams: The source of the measurements' seeds; none of them is drawn from.
        ranks: All of them take the mean of their measurements.

    Raises ConfigError when the response needs a step size that can change, and this can't.
    """

    def __init__(self, parts: Parts, train: Train, streams: Streams, ranks: Ranks) -> None:
        self.parts = parts
        self.response = train.on_unstable
        self.streams = streams
        self.ranks = ranks
        self.kernel: Any = parts.sampler and parts.sampler.kernel
        self.waiting: list[Tensor] = []  # measurements since the last report
        self.last: deque[Measured] = deque(maxlen=IN_A_ROW)
        self.said: set[str] = set()  # the keys of the warnings given
        self.adjusted = getattr(self.kernel, "target_acceptance", None) is not None
        self.active = parts.needs_samples and self._is_declared()
        if self.active and self.response in ("shrink", "rollback"):
            self._make_changeable()

    def _is_declared(self) -> bool:
        """Whether the kernel's step size is one number and it says which are stable."""
        one = isinstance(getattr(self.kernel, "step_size", None), (Real, StepSize))
        if not one or hasattr(self.kernel, "sample"):
            return False
        stable = getattr(self.kernel, "stable_step", lambda curvature: None)
        return self.adjusted or stable(torch.ones(())) is not None

    def _make_changeable(self) -> None:
        """Hold a given number in a `StepSize`, whose value a compiled step reads at each call."""
        given = self.kernel.step_size
        if isinstance(given, StepSize):
            return
        if not getattr(self.kernel, "takes_step_size", False):
            message = (
                f"{self.response} changes the step size, and that of "
                f"{self.parts.label('sampler')} is fixed; use warn or stop"
            )
            raise ConfigError([Problem("train.on_unstable", message)])
        self.kernel.step_size = StepSize(float(given))
        self.kernel.step_size.start(self.kernel, self.parts.data.x, self.parts.device)

    @property
    def changeable(self) -> StepSize | None:
        """The step size that this run may change."""
        size = getattr(self.kernel, "step_size", None)
        return size if isinstance(size, StepSize) else None

    @property
    def fits(self) -> bool:
        """Whether this run fits the step size."""
        return self.active and self.changeable is not None and self.changeable.auto

    @cached_property
    def spread(self) -> float:
        """The data's local spread."""
        return local_spread(self.parts.data.x)

    def after_step(self, result: StepResult | None, step: int, recorder: Recorder) -> bool:
        """Measure a step, counted from 1, if it is due, and report; return if it was rolled back.

        `result` is None for a skipped step.
        """
        if not self.active:
            return False
        due = step % (EARLY if step <= HUNDRED or self.fits else REPORT) == 0
        if due and result is not None and result.x_neg is not None:
            measured = self._measure(result, result.x_neg, step)
            self.waiting.append(measured)
            if self.fits:
                self._fit(measured)
        return step % REPORT == 0 and self._report(step, recorder)

    def begin(self) -> None:
        """Fit the step size to the energy before the first step, at the data themselves."""
        if not self.fits or self.adjusted:
            return
        data, rows = self.parts.data, slice(CHAINS)
        x, conditions = data.x[rows], data.conditions.rows(rows)
        start = Start(x, conditions.y, mask=conditions.mask)
        self._fit(self._measure(StepResult(x, x, None, {}, start, conditions), x, 0))

    def metrics(self) -> dict[str, float]:
        """Return the step size, if the run may change it."""
        size = self.changeable
        return {} if size is None or not self.active else {"sampler/step_size": float(size)}

    def state_dict(self) -> dict[str, Any]:
        """Return the measurements, if the response to them changes the run."""
        if not self.active or self.response == "warn":
            return {}
        return {"unstable": {"waiting": self.waiting, "last": [list(m) for m in self.last]}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        held = state.get("unstable", {"waiting": [], "last": []})
        self.waiting = [row.to(self.parts.device) for row in held["waiting"]]
        self.last = deque((Measured(*row) for row in held["last"]), maxlen=IN_A_ROW)

    def _measure(self, result: StepResult, x_neg: Tensor, step: int) -> Tensor:
        """Return the numbers of a `Measured`, on the device."""
        energy, x = self.parts.energy, x_neg[:CHAINS]
        of_chains, of_data = result.of_x_neg.rows(slice(CHAINS)), result.conditions
        generator = Generator(self.streams.device)
        generator.manual_seed(self.streams.derived(f"stability/{step}"))
        with (
            own_global_stream(None, self.parts.device),
            evaluating(energy),
            borrowed(self.kernel) as kernel,
        ):
            bound = conditioned(energy, **of_chains._asdict())
            values, score = energy_and_score(bound, x)
            state = init_state(kernel, bound, x, generator=generator)
            moved = kernel.step(bound, state, kernel.noise(x, generator))[0].x.detach()
            turned = energy_and_score(bound, moved)[1] - score
            with torch.no_grad():
                at_data = conditioned(energy, **of_data._asdict())(result.x)
        kept = getattr(result.info, "acceptance", None)
        size = self.kernel.step_size
        row = torch.stack([
            curvature(moved - x, turned),
            values.mean() - at_data.mean(),
            at_data.std(correction=0),
            values.new_full((), math.nan) if kept is None else kept.mean(),
            size.value.to(values) if isinstance(size, StepSize) else values.new_full((), size),
        ])  # fmt: skip
        return row if self.ranks.size == 1 else self.ranks.mean_(row.double().cpu()).to(row)

    def _fit(self, measured: Tensor) -> None:
        """Move the step size to what was measured, without a host copy."""
        size = self.changeable
        assert size is not None
        if self.adjusted:
            size.towards(size.value * (measured[3] - self.kernel.target_acceptance).exp())
        else:
            size.towards(self._suited(measured[0]))

    def _suited(self, curvature: Any) -> Any:
        """Return the step size that suits a curvature."""
        return MARGIN * self.kernel.step_for((self.kernel.temperature / curvature) ** 0.5)

    def _report(self, step: int, recorder: Recorder) -> bool:
        """Respond to what was measured since the last report; return if it rolled back."""
        rows = torch.stack(self.waiting).tolist() if self.waiting else []
        self.waiting = []
        self.last.extend(Measured(*row) for row in rows)
        if not self.last:
            return False
        found = next(filter(None, (self._too_wide(), self._too_steep(), self._stuck())), None)
        if found is None:
            return False
        key, text = found
        return self._respond(
            key, f"sampler.step_size {self.last[-1].size:.3g}: {text}", step, recorder
        )

    def _respond(self, key: str, text: str, step: int, recorder: Recorder) -> bool:
        """Warn once of a finding, end the run, or go on with half the step; see `_report`."""
        if self.response == "warn":
            if key not in self.said:
                self.said.add(key)
                recorder.warn(f"step {step}: {text}")
            return False
        self.last.clear()
        size = self.changeable
        before = math.nan if size is None else float(size)
        if self.response != "shrink":
            recorder.diverged(Divergence(step, text, "", self.response))
        if size is not None:  # the checkpoint that a rollback restores has another
            size.scale(0.5 * before / float(size))
            recorder.event(step, "shrunk", why=text, step_size=float(size))
        return self.response == "rollback"

    def _too_wide(self) -> tuple[str, str] | None:
        """Return why chains can't become as narrow as the data, if so."""
        law = getattr(self.kernel, "implied_temperature", None)  # None: clipped, bounded
        if self.fits or self.adjusted or not law:
            return None
        largest = self.kernel.step_for(self.spread)
        if self.last[-1].size <= largest:
            return None
        text = (
            f"the chains can't become as narrow as the data, whose local spread is "
            f"{self.spread:.3g}: that takes a step_size of at most {largest:.2g}, and the energy "
            f"would grow steeper without end. {MARGIN * largest:.1g} would suit, or auto"
        )
        return "wide", text

    def _too_steep(self) -> tuple[str, str] | None:
        """Return why the step is unstable, if so."""
        law = getattr(self.kernel, "implied_temperature", None)
        if self.adjusted or not law or len(self.last) < IN_A_ROW:
            return None
        stable = [float(self.kernel.stable_step(torch.tensor(m.curvature))) for m in self.last]
        unstable = [m.size > most for m, most in zip(self.last, stable, strict=True)]
        away = [m.gap > AWAY * m.spread for m in self.last]
        if not (all(unstable) and all(away)):
            return None
        now = self.last[-1]
        suited = min(self._suited(now.curvature), MARGIN * self.kernel.step_for(self.spread))
        text = (
            f"unstable for the energy, whose curvature, {now.curvature:.3g} nats per squared unit, "
            f"allows at most {stable[-1]:.2g}; the chains' energies are {now.gap:.3g} nats over "
            f"the data's. {suited:.1g} would suit, or auto"
        )
        return "steep", text

    def _stuck(self) -> tuple[str, str] | None:
        """Return why the sampler is stuck, if it is."""
        if len(self.last) < IN_A_ROW or not all(m.acceptance < STUCK for m in self.last):
            return None
        text = (
            f"the sampler keeps {self.last[-1].acceptance:.1%} of its proposals; "
            f"{self.last[-1].size / 4:.1g} would keep more"
            f"{', and auto fits it' * getattr(self.kernel, 'takes_step_size', False)}"
        )
        return "stuck", text


def curvature(moved: Tensor, turned: Tensor) -> Tensor:
    """Return the curvature that a tenth of the chains exceed, in bowls of the energy.

    κ = ‖Δs‖ / ‖Δx‖, or 0 where the score turns the way that x moved, on a hill. It is κ on
    E = ½κ‖x‖², and at most the largest curvature on any quadratic energy.
    Shapes: moved Δx and turned Δs, (chains, *event) -> ().
    """
    moved, turned = moved.flatten(1), turned.flatten(1)
    each = turned.norm(dim=1) / moved.norm(dim=1)
    ranked = torch.where((moved * turned).sum(1) < 0, each, 0.0).sort(descending=True).values
    return ranked[len(ranked) // 10]
