"""Optuna's samplers and pruners, found by their names and built from their options."""

from __future__ import annotations

import difflib
import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ebmcore import EbmError, PluginError, Problem
from ebmcore.config import Parameter, check_values, parameters
from ebmcore.train import derive
from ebmcore_sweep.storage.sampler_state import with_checked_state

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from ebmcore_sweep.search.definition import Sweep

# they wrap another sampler or pruner, or are for several objectives
_UNUSABLE = {"PartialFixedSampler", "PatientPruner", "BaseGASampler", "NSGAIIISampler"}
# functions, and objects of Optuna's, none of which a file can hold
_OBJECTS = (
    "constraints_func", "gamma", "weights", "mutation", "crossover", "source_trials",
    "elite_population_selection_strategy", "child_generation_strategy", "after_trial_strategy",
    "independent_sampler", "reference_points",
)  # fmt: skip
_MOST = 1_000_000  # of an option's number, and of values that are listed beforehand
_SAME_SEED = {"QMCSampler"}  # whose workers share one sequence


def need_optuna() -> None:
    """Raise EbmError, with the command that installs Optuna, if Optuna can't be imported."""
    try:
        import optuna
    except ImportError as error:
        raise EbmError(
            f"a sweep needs Optuna, which can't be imported ({error}); install it with: "
            "pip install ebmcore-sweep"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's warnings that parts of its interface are experimental."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def find(kind: str, name: str) -> type[Any]:
    """Return one of Optuna's classes; kind is sampler or pruner.

    Raises PluginError that lists what there is.
    """
    there = _usable(kind)
    if name in there:
        return there[name]
    near = difflib.get_close_matches(name, there, 2)
    hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    raise PluginError(
        f"no {kind} {name!r} that a sweep can use.{hint} There are: {', '.join(there)}."
    )


def _usable(kind: str) -> dict[str, type[Any]]:
    import optuna

    module: ModuleType = optuna.samplers if kind == "sampler" else optuna.pruners
    base = getattr(module, f"Base{kind.title()}")
    return {
        name: value
        for name in sorted(module.__all__)
        if inspect.isclass(value := getattr(module, name))
        and issubclass(value, base)
        and value is not base
        and name not in _UNUSABLE
    }


def options_of(target: type[Any]) -> tuple[Parameter, ...]:
    """List the options of a sampler or a pruner that a file can hold."""
    return parameters(target, skip=_OBJECTS)


def faults(sweep: Sweep, kind: str) -> Iterator[Problem]:
    """Yield the faults of the sampler or the pruner that a sweep names."""
    given = getattr(sweep, kind)
    if given is None:
        return
    options = {key: value for key, value in given.items() if key != "type"}
    try:
        target = find(kind, given["type"])
    except PluginError as error:
        yield sweep.source.problem(f"{kind}.type", str(error))
        return
    checked = check_values(options_of(target), options)
    wrong = [*checked.faults, *_too_large(sweep, given["type"], checked.values)]
    yield from (sweep.source.problem(f"{kind}.{at}".strip("."), text) for at, text in wrong)
    if wrong:
        return
    try:
        _make(kind, given)
    except Exception as error:  # a value that Optuna refuses, or a library that it needs
        what = str(error.args[0] if error.args else repr(error)).strip().splitlines()[0]
        yield sweep.source.problem(kind, f"{given['type']}: {what}")


def _too_large(sweep: Sweep, name: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the options with which Optuna would hang or fill the memory before the first trial."""
    for key, value in options.items():
        if isinstance(value, int) and abs(value) > _MOST and key != "seed":
            yield key, f"should be at most {_MOST}; got {value!r:.40}"
    if name == "GridSampler" and _grid(options.get("search_space")) > _MOST:
        yield "search_space", f"should have at most {_MOST} points"
    if name == "BruteForceSampler":
        for key, range_ in sweep.space.ranges.items():
            if range_.size() > _MOST:
                yield "", f"tries all values, and {key} has more than {_MOST}"


def _grid(axes: Any) -> int:
    """Return how many points a grid has."""
    sizes = [len(axis) for axis in axes.values() if isinstance(axis, (list, tuple))] if axes else []
    return math.prod(sizes)


def make_sampler(given: Mapping[str, Any], worker: str) -> BaseSampler:
    """Make a worker's sampler; no two workers get one seed, so that they try other values."""
    target = find("sampler", given["type"])
    seed = given.get("seed")
    if "seed" not in inspect.signature(target).parameters:
        return _make("sampler", given)  # type: ignore[no-any-return]
    if given["type"] in _SAME_SEED:
        return _make("sampler", {**given, "seed": seed or 0})  # type: ignore[no-any-return]
    own = None if seed is None else derive(seed, f"sweep {worker}") % 2**32
    return _make("sampler", {**given, "seed": own})  # type: ignore[no-any-return]


def make_pruner(given: Mapping[str, Any] | None) -> BasePruner:
    """Make the pruner; without one, no trial is pruned."""
    return _make("pruner", given or {"type": "NopPruner"})  # type: ignore[no-any-return]


def _make(kind: str, given: Mapping[str, Any]) -> Any:
    target = find(kind, given["type"])
    options = {key: value for key, value in given.items() if key != "type"}
    values = check_values(options_of(target), options).values
    with quiet():
        return (with_checked_state(target) if kind == "sampler" else target)(**values)
