"""`compile: auto`: whether compiling pays for a run, from the config alone and never from a clock.

The estimates are those of one machine with two cores. They only have to be right within a factor:
a run that would gain little either way may be taken either way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch import nn

from ebmcore.compile.graph import LONGEST, unavailable
from ebmcore.train.components import Parts
from ebmcore.train.step import TrainStep

_LAYER = 0.15e-3  # seconds saved for each layer of the energy, each time that it is differentiated
_COMPILING = 8.0  # seconds to compile a step, and for each layer that it differentiates, each time
_COMPILING_LAYER = 0.4  # 27 s were measured for 42 of these, 37 for 72, 13 for 12
_CLEARLY = 2.0  # what is saved over what is spent, for compiling to be worth it


class Choice(NamedTuple):
    """What was asked for, what is done, and why."""

    asked: bool | str
    compiled: bool
    why: str


def choose(asked: bool | str, parts: Parts, steps: int) -> Choice:
    """Decide whether to compile the training steps of a run of so many.

    `asked` is auto, true or false. The same config decides the same everywhere, but for whether
    anything can be compiled at all.
    """
    if asked is False:
        return Choice(asked, False, "compile: false")
    saved, spent = _saved(parts, steps), _spent(parts)
    sums = f"about {saved:.0f} s would be saved in {steps} steps, and {spent:.0f} s spent"
    if asked == "auto":
        if any(isinstance(module, nn.RNNBase) for module in parts.energy.modules()):
            why = "recurrent layers take minutes to compile; compile: true does it all the same"
            return Choice(asked, False, why)
        if saved < _CLEARLY * spent:
            return Choice(asked, False, sums)
    missing = unavailable(parts.device)
    if missing is not None:
        return Choice(asked, False, missing)
    return Choice(asked, True, "compile: true" if asked is True else sums)


def training_step(choice: Choice, warn: Callable[[str], None]) -> Callable[..., TrainStep]:
    """Return what makes the training step of a run."""
    if not choice.compiled:
        return TrainStep
    from ebmcore.compile.step import CompiledStep

    return partial(CompiledStep, warn=warn)


def record(choice: Choice, mode: str, left_out: dict[str, str]) -> dict[str, Any]:
    """Return what a run records of its compiling."""
    return {"asked": choice.asked, "mode": mode, "why": choice.why, "left_out": left_out}


def _layers(parts: Parts) -> int:
    """Count the modules of the energy that have parameters of their own."""
    return sum(bool(list(m.parameters(recurse=False))) for m in parts.energy.modules())


def _differentiated(parts: Parts, longest: float = math.inf) -> float:
    """Count the layers that a step differentiates, of a sampler's steps `longest` at most."""
    walked = parts.sampler.n_steps if parts.sampler is not None and parts.needs_samples else 0
    judged = sum(2 * term.order for term in parts.losses)
    return (min(walked, longest) + judged) * _layers(parts)


def _saved(parts: Parts, steps: int) -> float:
    """Estimate the seconds that a compiled run is shorter by, without what compiling takes."""
    return steps * _differentiated(parts) * _LAYER


def _spent(parts: Parts) -> float:
    return _COMPILING + _COMPILING_LAYER * _differentiated(parts, LONGEST)
