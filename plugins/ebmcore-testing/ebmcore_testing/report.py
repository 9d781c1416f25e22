"""Run all checks on all parts of one plugin, for `ebmcore check`.

Facts about a part come from its own attributes, its keys from its defaults or its `check_params`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import typer
import typer.main

from ebmcore.config import REQUIRED, keys_of
from ebmcore.errors import ConfigError, EbmError, PluginError, raised_at
from ebmcore.kinds import COMMAND, OFFERED
from ebmcore.plugins import Component, Found, Host
from ebmcore_testing.declarations import check_params, expected_failures, unusable_keys
from ebmcore_testing.failures import CheckFailed, NotApplicable
from ebmcore_testing.suites.callbacks import CallbackSuite
from ebmcore_testing.suites.chains import ChainsSuite
from ebmcore_testing.suites.datasets import DatasetSuite
from ebmcore_testing.suites.energies import EnergySuite
from ebmcore_testing.suites.losses import LossSuite
from ebmcore_testing.suites.lr_schedulers import LRSchedulerSuite
from ebmcore_testing.suites.monitors import MonitorSuite
from ebmcore_testing.suites.networks import NetworkSuite
from ebmcore_testing.suites.optimizers import OptimizerSuite
from ebmcore_testing.suites.samplers import SamplerSuite
from ebmcore_testing.suites.suite import Suite
from ebmcore_testing.suites.trackers import TrackerSuite
from ebmcore_testing.suites.transforms import TransformSuite

SUITES: dict[str, type[Suite]] = {
    suite.kind: suite
    for suite in (
        EnergySuite,
        NetworkSuite,
        SamplerSuite,
        ChainsSuite,
        LossSuite,
        MonitorSuite,
        CallbackSuite,
        DatasetSuite,
        TransformSuite,
        OptimizerSuite,
        LRSchedulerSuite,
        TrackerSuite,
    )
}


class Result(StrEnum):
    """How one check of one component ended."""

    PASSED = "passed"
    FAILED = "failed"
    EXPECTED_FAILURE = "expected failure"
    NOT_APPLICABLE = "not applicable"
    NOT_CHECKED = "not checked"


class Outcome(NamedTuple):
    """One check of one component, with what keys, and how it ended."""

    kind: str
    component: str
    check: str  # empty when the component was not checked at all
    result: Result
    reason: str = ""
    params: Mapping[str, Any] = {}
    failure: CheckFailed | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The same as JSON types."""
        fields = ("expected", "measured", "allowed", "cause")
        failure = {f: getattr(self.failure, f) for f in fields} if self.failure else None
        return {**self._asdict(), "params": dict(self.params), "failure": failure}


def check_plugin(host: Host, name: str) -> list[Outcome]:
    """Check everything that one plugin offers, by the plugin's name or its distribution's.

    Raises PluginError when it isn't there or didn't load.
    """
    found = {p.found for p in host.plugins if name in (p.found.name, p.found.distribution)}
    if not found:
        there = ", ".join(p.found.name for p in host.plugins) or "none"
        raise PluginError(f"no plugin {name!r} is installed. Installed: {there}.")
    for plugin in host.plugins:
        if plugin.found in found and plugin.status != "ok":
            raise PluginError(f"plugin {name!r} is {plugin.status}: {plugin.reason}")
    offered = (*host.components(), *host.components(COMMAND.name))
    components = [component for component in offered if component.plugin in found]
    checked = [outcome for component in components for outcome in check_component(component)]
    return [*checked, *_hooks(host, found)]


def _hooks(host: Host, found: Collection[Found]) -> Iterable[Outcome]:
    """Report the life-cycle hooks of a plugin, whose arguments the host compared as it loaded."""
    offers = {kind.hook for kind in (*OFFERED.values(), COMMAND)}
    for plugin in host.plugins:
        if plugin.found in found and plugin.module is not None:
            for caller in host.hooks.get_hookcallers(plugin.module) or ():
                if caller.name not in offers:
                    about = ("hooks", plugin.found.name, caller.name)
                    yield Outcome(*about, Result.PASSED, "takes arguments that ebmcore passes")


def check_component(component: Component) -> Iterable[Outcome]:
    """Check one component, with each of its `check_params`."""
    about = (component.kind, component.full_name)
    try:
        target = component.load()
        if component.kind == COMMAND.name:
            _read_arguments(target)
            yield Outcome(*about, "load", Result.PASSED)
            return
        unusable = unusable_keys(component.kind, target)
        if unusable:
            raise EbmError(f"{component.full_name}: {unusable}")
        if component.kind not in SUITES:  # it loads, and takes keys
            reason = f"there is no suite for a {component.kind}"
            yield Outcome(*about, "", Result.NOT_CHECKED, reason)
            return
        for params in check_params(target):
            needed = _needed(component.kind, target, params)
            if needed:
                reason = f"needs params: {', '.join(needed)} has no default; offer `check_params`"
                yield Outcome(*about, "", Result.NOT_CHECKED, reason, params)
                continue
            yield from _run(component, target, params)
    except (Exception, SystemExit) as error:
        reason = str(error)
        if not isinstance(error, EbmError):
            reason = f"it raised {type(error).__name__}: {error} ({raised_at(error)})"
        failure = CheckFailed(
            "load",
            expected="a component that can be loaded and built",
            measured=reason,
            allowed="no error",
            cause="a wrong 'module:attribute', or check_params or expected_failures that name "
            "what isn't there",
        )
        yield Outcome(*about, "load", Result.FAILED, reason, {}, failure)


def _read_arguments(command: Any) -> None:
    """Have typer read the arguments of a command. Raises what typer raises."""
    app = command if isinstance(command, typer.Typer) else typer.Typer()
    if app is not command:
        app.command()(command)
    typer.main.get_command(app)


def _run(component: Component, target: Any, params: Mapping[str, Any]) -> Iterable[Outcome]:
    attributes = {"component": target, "params": params}
    suite: Any = type("Checked", (SUITES[component.kind],), attributes)
    expected = expected_failures(target)
    unknown = set(expected) - set(suite.checks())
    if unknown:
        raise EbmError(
            f"expected_failures of {component.full_name}: no check {sorted(unknown)[0]!r}; "
            f"checks: {', '.join(suite.checks())}"
        )
    try:
        for shape in suite().shapes():
            suite().build(event_shape=shape)
    except ConfigError as error:
        if getattr(target, "check_event_shapes", None) is not None:
            raise
        reason = f"{error}; offer `check_event_shapes` or `check_params`"
        about = (component.kind, component.full_name, "")
        yield Outcome(*about, Result.NOT_CHECKED, reason, params)
        return
    for check in suite.checks():
        about = (component.kind, component.full_name, check)
        try:
            suite().run(check)
        except CheckFailed as failure:
            if check in expected:
                yield Outcome(*about, Result.EXPECTED_FAILURE, expected[check], params, failure)
            else:
                yield Outcome(*about, Result.FAILED, "", params, failure)
        except NotApplicable as error:
            yield Outcome(*about, Result.NOT_APPLICABLE, str(error), params)
        else:
            yield _passed(about, expected.get(check), params)


def _passed(
    about: tuple[str, str, str], expected: str | None, params: Mapping[str, Any]
) -> Outcome:
    if expected is None:
        return Outcome(*about, Result.PASSED, "", params)
    failure = CheckFailed(
        about[2],
        expected=f"the failure that is declared: {expected}",
        measured="the check passed",
        allowed="a failure, for as long as it is declared",
        cause="it was mended: take it out of expected_failures",
    )
    return Outcome(*about, Result.FAILED, "", params, failure)


def _needed(kind: str, target: Any, params: Mapping[str, Any]) -> list[str]:
    keys = keys_of(kind, target)
    return [key.name for key in keys if key.default is REQUIRED and key.name not in params]
