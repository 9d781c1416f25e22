"""Optimizers and learning-rate schedules: their keys, and the functions that make them.

An optimizer is made of its parameters, a schedule of its optimizer; the other parameters of its
signature are its config. A schedule that combines others takes them as nodes of the same kind.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ebmcore.config.model import Node
from ebmcore.config.values.signature import (
    Parameter,
    component_parameters,
    describe,
    parameters,
    positional,
)
from ebmcore.errors import ConfigError, PluginError, Problem, raised_at
from ebmcore.plugins import Component
from ebmcore.plugins.builtin import CORE

_MADE_OF = {"optimizer": "params", "lr_scheduler": "optimizer"}  # the parameter's name in torch
_CLOSURE = "its step calls the loss several times, which a training step doesn't allow"
_FUNCTION = "it takes a function, which no config can hold; from Python, hand it to Experiment"
_REFUSED = {  # torch's own that a config can't use
    ("optimizer", "LBFGS"): _CLOSURE,
    ("lr_scheduler", "LambdaLR"): _FUNCTION,
    ("lr_scheduler", "MultiplicativeLR"): _FUNCTION,
}


def keys_of(kind: str, target: Callable[..., Any]) -> tuple[Parameter, ...]:
    """List the config keys of a component of any kind."""
    if kind not in _MADE_OF:
        return component_parameters(target)
    return parameters(target, skip=(_first(kind, target), "last_epoch"))


def of_torch(component: Component) -> bool:
    """Tell whether a component is one of torch's own classes."""
    target = component.target
    return component.plugin == CORE and isinstance(target, str) and target.startswith("torch.")


def description(component: Component, target: Callable[..., Any]) -> str:
    """Return a component's docstring; of torch's own, which fill pages, the first paragraph."""
    found = describe(target)
    return found.summary if of_torch(component) else found.text


def refusal(kind: str, name: str) -> str | None:
    """Say why a config can't use one of torch's optimizers or schedules; None when it can."""
    why = _REFUSED.get((kind, name))
    return why and f"{kind} {name!r} can't be used in a config: {why}."


def needs_argument(part: Any) -> bool:
    """Tell whether the `step` of a part, or of its class, requires an argument.

    That of a schedule such as ReduceLROnPlateau requires a metric's value, that of an optimizer
    such as LBFGS a function that computes the loss.
    """
    step = getattr(part, "step", None)
    if not callable(step):
        return False
    try:
        given = list(inspect.signature(step).parameters.values())
    except (ValueError, TypeError):
        return False
    given = given[1:] if inspect.isclass(part) else given
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return bool(given) and given[0].kind in kinds and given[0].default is inspect.Parameter.empty


def maker(node: Node) -> Callable[[Any], Any]:
    """Return the function that makes an optimizer of parameters, or a schedule of an optimizer.

    Raises ConfigError at the node's place when a plugin's own refuses its values, PluginError when
    it fails for another reason.
    """

    def make(of: Any) -> Any:
        values = {key: _inner(value, of) for key, value in node.values.items()}
        first = _first(node.kind, node.target)
        given = positional(node.target)
        try:
            if not given or given[0] == first:
                return node.target(of, **values)
            return node.target(**{first: of}, **values)
        except (ConfigError, PluginError):
            raise
        except (Exception, SystemExit) as error:
            is_refusal = isinstance(error, ValueError | TypeError)
            if is_refusal and node.component is not None and of_torch(node.component):
                raise  # torch's own message, at the node's place
            if is_refusal:
                problem = Problem(node.path, f"{node.type}: {error}", node.where)
                raise ConfigError([problem]) from error
            raise PluginError(
                f"{node.path}: {node.label} can't be built: {type(error).__name__}: {error} "
                f"({raised_at(error)})"
            ) from error

    return make


def _inner(value: Any, of: Any) -> Any:
    if isinstance(value, list):
        return [_inner(item, of) for item in value]
    return maker(value)(of) if isinstance(value, Node) else value


def _first(kind: str, target: Callable[..., Any]) -> str:
    """Return the name of the parameter that takes the parameters, or the optimizer."""
    names = positional(target)
    usual = _MADE_OF[kind]
    return usual if usual in names or not names else names[0]
