"""Build the object that a validated node describes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ebmcore.config.model import Node
from ebmcore.config.values.signature import asked_for, is_part, positional
from ebmcore.contracts import BUILD_SLOTS, LOSS_SLOTS
from ebmcore.errors import (
    ConfigError,
    DataError,
    PluginError,
    Problem,
    first_line,
    raised_at,
    too_large,
)


def build(node: Node, slots: Mapping[str, Any], built: dict[str, Any] | None = None) -> Any:
    """Build the object of a node, passing the slots that it asks for.

    `built` holds the objects built before, by their place, so that a node that several others
    refer to becomes one object. Raises ConfigError at the node's place when the component refuses
    the values, PluginError when it fails for another reason.
    """
    built = {} if built is None else built
    if node.path not in built:
        built[node.path] = _make(node, slots, built)
    return built[node.path]


def _make(node: Node, slots: Mapping[str, Any], built: dict[str, Any]) -> Any:
    target = node.target
    part = is_part(target)
    later = {*positional(target), *(LOSS_SLOTS if node.kind == "loss" else ())} if part else set()
    names = set(BUILD_SLOTS) - later
    if node.kind != "loss" and asked_for(target, {"training_data"}):
        message = f"{node.type} asks for training_data, which is handed to losses alone"
        raise ConfigError([Problem(node.path, message, node.where)])
    own = {key: _inner(value, slots, built) for key, value in node.values.items()}
    values = {**own, **{name: slots[name] for name in asked_for(target, names)}}
    if part:
        return partial(target, **values)
    try:
        return target(**values)
    except (Exception, SystemExit) as error:
        if too_large(error):
            raise ConfigError([Problem(node.path, too_much(node, error), node.where)]) from error
        if not isinstance(error, (ValueError, TypeError, DataError)):
            raise PluginError(
                f"{node.path}: {node.label} can't be built: {type(error).__name__}: {error} "
                f"({raised_at(error)})"
            ) from error
        raise ConfigError([Problem(node.path, f"{node.type}: {error}", node.where)]) from error


def too_much(node: Node, error: BaseException) -> str:
    """Describe a node that asks for more than the machine has, and the keys that may cause it."""
    sizes = {k: v for k, v in node.values.items() if isinstance(v, int) and not isinstance(v, bool)}
    largest = max(sizes, key=lambda key: sizes[key], default=None)
    hint = "" if largest is None else f"; its largest number is {largest}: {sizes[largest]}"
    return f"{node.label} needs more than this machine has{hint} ({first_line(error)})"


def _inner(value: Any, slots: Mapping[str, Any], built: dict[str, Any]) -> Any:
    """Build the nodes in a value, which may be a node itself."""
    if isinstance(value, list):
        return [_inner(item, slots, built) for item in value]
    return build(value, slots, built) if isinstance(value, Node) else value


def required_slots(loss: Callable[..., Any]) -> tuple[str, ...]:
    """List the slots that a built loss names without a default."""
    call = getattr(loss, "forward", loss)
    parameters = inspect.signature(call).parameters.values()
    return tuple(p.name for p in parameters if p.name in LOSS_SLOTS and p.default is p.empty)


def loss_slots(loss: Callable[..., Any]) -> tuple[str, ...]:
    """List the slots that a loss names, given the loss or the class that makes it.

    Raises TypeError when it has a positional parameter that isn't a slot.
    """
    if inspect.isclass(loss):
        call = getattr(loss, "forward", None) or loss.__call__
        names = positional(call)[1:]  # without self
    else:
        call = getattr(loss, "forward", loss)
        names = positional(call)
    strange = [name for name in names if name not in LOSS_SLOTS]
    if strange:
        raise TypeError(
            f"asks for {strange[0]!r}, which is no slot; slots: {', '.join(LOSS_SLOTS)}. "
            f"To make {strange[0]!r} a key of the config, write it after a `*`."
        )
    return asked_for(call, LOSS_SLOTS)
