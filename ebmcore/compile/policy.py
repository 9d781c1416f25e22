"""`compile: auto`: whether compiling pays for a run, from the config alone and never from a clock.

The estimates were measured on one machine with two cores. They have to be right within a factor:
where the gain is small, either decision is fine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from torch import nn

from ebmcore.compile.graph import LONG_STEP, LONGEST, unavailable
from ebmcore.train.components import Parts
from ebmcore.train.step import TrainStep

_LAYER = 0.15e-3  # seconds saved for each layer of the energy in each differentiation
_COMPILING = 8.0  # seconds to compile a step, and for each layer in each differentiation
_COMPILING_LAYER = 0.4  # measured: 27 s for 42 of these, 37 s for 72, 13 s for 12
_CLEARLY = 2.0  # seconds saved over seconds spent, from which compiling pays


class CompileDecision(NamedTuple):
    """The requested `compile`, whether the run is compiled, and the reason."""

    asked: bool | str
    compiled: bool
    why: str


def decide_compile(asked: bool | str, parts: Parts, steps: int) -> CompileDecision:
    """Decide whether to compile the training step of a run of `steps` steps.

    `asked` is auto, true or false. A config leads to the same decision on every machine that can
    compile.
    """
    if asked is False:
        return CompileDecision(asked, False, "compile: false")
    saved, spent = _saved(parts, steps), _spent(parts)
    sums = f"about {saved:.0f} s would be saved in {steps} steps, and {spent:.0f} s spent"
    if asked == "auto":
        if any(isinstance(module, nn.RNNBase) for module in parts.energy.modules()):
            why = "recurrent layers take minutes to compile; set compile: true to compile them"
            return CompileDecision(asked, False, why)
        kernel = parts.sampler and parts.sampler.kernel
        if getattr(kernel, "long_step", False):
            return CompileDecision(asked, False, f"sampler: {LONG_STEP}")
        if saved < _CLEARLY * spent:
            return CompileDecision(asked, False, sums)
    missing = unavailable(parts.device)
    if missing is not None:
        return CompileDecision(asked, False, missing)
    return CompileDecision(asked, True, "compile: true" if asked is True else sums)


def training_step(
    decision: CompileDecision,
    warn: Callable[[str], None],
    compiling: Callable[[], AbstractContextManager[None]],
) -> Callable[..., TrainStep]:
    """Return the factory of a run's training step; it compiles inside of `compiling`."""
    if not decision.compiled:
        return TrainStep
    from ebmcore.compile.step import CompiledStep

    return partial(CompiledStep, warn=warn, compiling=compiling)


def compile_record(decision: CompileDecision, step: TrainStep) -> dict[str, Any]:
    """Return the field `compile` of run.json."""
    from ebmcore.compile.step import CompiledStep

    compiled = step if isinstance(step, CompiledStep) else None
    mode = "eager" if compiled is None else compiled.mode
    left_out = {} if compiled is None else compiled.left_out
    return {"asked": decision.asked, "mode": mode, "why": decision.why, "left_out": left_out}


def _layers(parts: Parts) -> int:
    """Count the modules of the energy that have parameters of their own."""
    return sum(bool(list(m.parameters(recurse=False))) for m in parts.energy.modules())


def _differentiated(parts: Parts, longest: float = math.inf) -> float:
    """Count the layers that a step differentiates, with at most `longest` sampler steps."""
    sampled = parts.sampler.n_steps if parts.sampler is not None and parts.needs_samples else 0
    losses = sum(2 * term.order for term in parts.losses)
    return (min(sampled, longest) + losses) * _layers(parts)


def _saved(parts: Parts, steps: int) -> float:
    """Estimate the seconds that compiled steps save, without the time to compile."""
    return steps * _differentiated(parts) * _LAYER


def _spent(parts: Parts) -> float:
    """Estimate the seconds that compiling takes."""
    return _COMPILING + _COMPILING_LAYER * _differentiated(parts, LONGEST)
