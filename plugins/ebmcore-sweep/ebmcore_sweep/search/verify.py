"""Checks of a sweep against the installed plugins and Optuna, before anything is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ebmcore import ConfigError, Host, Launcher, Problem
from ebmcore.config import Node, Recorded, Source, apply_overrides, build, read_node, validate
from ebmcore.runner import Prepared, compose, prepare_source
from ebmcore.trackers import mlflow_keys, with_mlflow_keys
from ebmcore_sweep.search.definition import Sweep
from ebmcore_sweep.search.samplers import faults


def verify(sweep: Sweep, plugins: Sequence[str] = (), *, strict_plugins: bool = False) -> Prepared:
    """Check all of a sweep against this installation; return the base with the first values.

    The base is validated with the values at each end of each range, one range at a time. Raises
    ConfigError with every problem that was found, PluginError when a plugin didn't load.
    """
    if problems := optuna_faults(sweep):
        raise ConfigError(problems)
    prepared = _first(sweep, plugins, strict_plugins)
    problems += _ends(sweep, prepared.host)
    problems += _objective(sweep, prepared)
    if problems:
        raise ConfigError(problems)
    return prepared


def optuna_faults(sweep: Sweep) -> list[Problem]:
    """Return the sampler, pruner and ranges that Optuna refuses, as problems."""
    problems = [p for kind in ("sampler", "pruner") for p in faults(sweep, kind)]
    for key, range_ in sweep.space.ranges.items():
        try:
            range_.distribution()
        except (ValueError, ArithmeticError) as error:
            problems.append(sweep.source.problem(f"space.{key}", str(error)))
    return problems


def overridden(sweep: Sweep, values: dict[str, Any], name: str) -> Source:
    """Return the base with a trial's values, under the trial's name."""
    source = apply_overrides(sweep.base, values)
    source.tree["name"] = name
    tracking = source.tree.get("tracking")
    if (keys := mlflow_keys(tracking)) is not None:
        own = os.environ.get("MLFLOW_EXPERIMENT_NAME") or sweep.name
        experiment = keys.get("experiment") or own
        source.tree["tracking"] = with_mlflow_keys(tracking, {**keys, "experiment": experiment})
    return source


def _first(sweep: Sweep, plugins: Sequence[str], strict_plugins: bool) -> Prepared:
    """Validate the base with the first value of each range, and see that its parts fit."""
    values = sweep.space.example()
    try:
        source = overridden(sweep, values, sweep.name)
        prepared = prepare_source(source, (*plugins, *sweep.files), strict_plugins=strict_plugins)
        compose(*prepared, device="meta").dry_run(prepared.config.train)
        return prepared
    except ConfigError as error:
        raise ConfigError(_placed(sweep, values, p) for p in error.problems) from error


def _placed(sweep: Sweep, values: dict[str, Any], problem: Problem) -> Problem:
    """Point a problem at its place in the sweep's file, if it isn't the base's own."""
    if problem.where != "override":
        return problem
    path = problem.path
    fits = [key for key in values if f"{path}.".startswith(f"{key}.")]
    fits = fits or [key for key in values if key.startswith(f"{path}.")]
    key = max(fits, key=len, default="")
    return sweep.source.problem(f"space.{key}".strip("."), _told(problem, key, values))


def _told(problem: Problem, key: str, values: dict[str, Any]) -> str:
    inner = "" if problem.path == key else f"{problem.path}: "
    return f"{inner}{problem.message}" + (f" (with {values[key]!r})" if key in values else "")


def _ends(sweep: Sweep, host: Host) -> list[Problem]:
    """Return the ends of ranges that the config refuses."""
    found: dict[str, Problem] = {}
    for key, values in sweep.space.examples():
        try:
            validate(overridden(sweep, values, sweep.name), host)
        except ConfigError as error:
            for problem in error.problems:
                place = sweep.source.problem(f"space.{key}", _told(problem, key, values))
                found.setdefault(str(place), place)
    return list(found.values())


def _objective(sweep: Sweep, prepared: Prepared) -> list[Problem]:
    """Refuse a metric that no trial will record, as far as the base's parts say."""
    metric, config = sweep.objective.metric, prepared.config
    recorded = Recorded.of(
        config.losses, config.monitors, config.callbacks, config.networks, prepared.host
    )
    varied = {key.partition(".")[0] for key in sweep.space.ranges}
    if varied & {"monitors", "networks"}:
        return []
    for key in varied:  # other trials record others
        recorded = recorded.and_unread(key, prepared.source.tree.get(key), ())
    message = recorded.fault(metric)
    return [] if message is None else [sweep.source.problem("objective.metric", message)]


def launcher_node(sweep: Sweep, given: dict[str, Any], host: Host) -> Node:
    """Check a launcher's name and options. Raises ConfigError."""
    return read_node(sweep.source._replace(tree={"launcher": given}), host, "launcher")


def make_launcher(node: Node) -> Launcher:
    """Make the launcher.

    Raises ConfigError when it refuses its options, PluginError when it fails for another reason.
    """
    launcher: Launcher = build(node, {})
    return launcher
