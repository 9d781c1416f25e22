"""`compile: auto`: whether compiling pays for a run, from the config alone and never from a clock.

The estimates were measured on one machine with two cores. They have to be right within a factor:
where the gain is small, either decision is fine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from torch import nn

from ebmcore.compile.graph import LONG_STEP, LONGEST, Limits, is_recurrent, unavailable
from ebmcore.train.components import Parts
from ebmcore.train.step import TrainStep

_LAYER = 0.15e-3  # seconds saved for each layer of the energy in each differentiation
_COMPILING = 8.0  # seconds to compile a step, and for each layer in each differentiation
_COMPILING_LAYER = 0.4  # measured: 27 s for 42 of these, 37 s for 72, 13 s for 12
_ALONE = 5.0  # more seconds, when sampler and losses are graphs of their own
_CALL = 0.04e-3  # seconds that a call of a graph takes beside its work
_RECURRENT = 5  # layers that a recurrent layer counts for at each place of a sequence
_CLEARLY = 2.0  # seconds saved over seconds spent, from which compiling pays


class CompileDecision(NamedTuple):
    """The requested `compile`, whether the run is compiled, the reason, and how."""

    asked: bool | str
    compiled: bool
    why: str
    limits: Limits = Limits()


def decide_compile(
    asked: bool | str, parts: Parts, steps: int, seconds: float = math.inf
) -> CompileDecision:
    """Decide whether to compile the training step of a run of `steps` steps.

    `asked` is auto, true or false; compiling should take at most so many `seconds`. A config leads
    to the same decision on every machine that can compile.
    """
    if asked is False:
        return CompileDecision(asked, False, "compile: false")
    saved, spent = _saved(parts, steps), _spent(parts)
    sums = f"about {saved:.0f} s would be saved in {steps} steps, and {spent:.0f} s spent"
    if asked == "auto":
        if is_recurrent(parts.energy):
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
    longest = _longest(parts, steps, seconds)
    spent = _spent(parts, longest)
    if spent > seconds:
        why = f"compiling would take about {spent:.0f} s, and compile_seconds is {seconds:g}"
        return CompileDecision(asked, False, why)
    why = "compile: true" if asked is True else sums
    return CompileDecision(asked, True, why, Limits(longest, seconds))


def training_step(
    decision: CompileDecision,
    warn: Callable[[str], None],
    compiling: Callable[[], AbstractContextManager[None]],
) -> Callable[..., TrainStep]:
    """Return the factory of a run's training step; it compiles inside of `compiling`."""
    if not decision.compiled:
        return TrainStep
    from ebmcore.compile.step import CompiledStep

    return partial(CompiledStep, warn=warn, compiling=compiling, limits=decision.limits)


def compile_record(decision: CompileDecision, step: TrainStep) -> dict[str, Any]:
    """Return the field `compile` of run.json."""
    from ebmcore.compile.step import CompiledStep

    compiled = step if isinstance(step, CompiledStep) else None
    mode = "eager" if compiled is None else compiled.mode
    left_out = {} if compiled is None else compiled.left_out
    return {"asked": decision.asked, "mode": mode, "why": decision.why, "left_out": left_out}


def limits_record(step: TrainStep) -> dict[str, Any]:
    """Return the field `compile` of a checkpoint's record, if the step is compiled."""
    limits: Limits | None = getattr(step, "limits", None)
    if limits is None:
        return {}
    return {"compile": {"longest": limits.longest, "given_up": sorted(limits.given_up)}}


def repeat_limits(step: TrainStep, record: Mapping[str, Any]) -> None:
    """Compile a resumed run's step as its checkpoint records, however long that takes now."""
    from ebmcore.compile.step import CompiledStep

    if isinstance(step, CompiledStep):
        how = record.get("compile", {})
        given_up = frozenset(map(str, how.get("given_up", ())))
        step.limits = Limits(int(how.get("longest", LONGEST)), given_up=given_up)


def _longest(parts: Parts, steps: int, seconds: float) -> int:
    """Return how many steps of the sampler should be one graph, at most: LONGEST or one.

    A graph of one compiles sooner and costs a call at every step; recurrent layers, which are
    unrolled in time, need it.
    """
    if parts.sampler is None or not parts.needs_samples:
        return LONGEST
    saved = _COMPILING_LAYER / 2 * (_differentiated(parts, LONGEST) - _differentiated(parts, 1))
    calls = steps * parts.sampler.n_steps * _CALL
    short = saved > _CLEARLY * (_ALONE + calls)
    return 1 if short or is_recurrent(parts.energy) or _spent(parts) > seconds else LONGEST


def _layers(parts: Parts) -> int:
    """Count the modules of the energy that have parameters of their own; recurrent ones in time."""
    count = 0
    for module in parts.energy.modules():
        if isinstance(module, nn.RNNBase):
            both = 1 + module.bidirectional
            count += _RECURRENT * parts.data.x.shape[1] * module.num_layers * both
        else:
            count += bool(list(module.parameters(recurse=False)))
    return count


def _differentiated(parts: Parts, longest: float = math.inf) -> float:
    """Count the layers that a step differentiates, with at most `longest` sampler steps."""
    sampled = parts.sampler.n_steps if parts.sampler is not None and parts.needs_samples else 0
    losses = sum(2 * term.order for term in parts.losses)
    return (min(sampled, longest) + losses) * _layers(parts)


def _saved(parts: Parts, steps: int) -> float:
    """Estimate the seconds that compiled steps save, without the time to compile."""
    return steps * _differentiated(parts) * _LAYER


def _spent(parts: Parts, longest: int = LONGEST) -> float:
    """Estimate the seconds that compiling takes, with at most `longest` sampler steps a graph."""
    alone = _ALONE if longest < LONGEST else 0.0
    return _COMPILING + alone + _COMPILING_LAYER * _differentiated(parts, longest)
