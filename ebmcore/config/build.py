"""Build the object that a validated node describes."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from ebmcore.config.model import Node
from ebmcore.config.values.signature import asked_for, filled_slots, is_part, positional
from ebmcore.contracts import LOSS_SLOTS
from ebmcore.errors import (
    ConfigError,
    DataError,
    PluginError,
    Problem,
    first_line,
    raised_at,
    too_large,
)
from ebmcore.run_contracts import EVENTS, Callback

_HANDED_TO = {  # build slots that not every kind may ask for
    "training_data": ("energy", "loss"),
    "networks": ("loss", "sampler", "chains"),  # a monitor finds them in its view
}
_OF_THE_DATA = ("event_shape", "data_range", "space")  # unknown before a transform


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
    for slot, kinds in _HANDED_TO.items():
        if node.kind not in kinds and asked_for(target, {slot}):
            message = f"{node.type} asks for {slot}, which is handed to {_plurals(kinds)} alone"
            raise ConfigError([Problem(node.path, message, node.where)])
    if node.kind == "transform" and (asked := asked_for(target, _OF_THE_DATA)):
        message = (
            f"{node.type} asks for {asked[0]} when it is built; `fit` gets the training rows, and "
            "their space as `space`"
        )
        raise ConfigError([Problem(node.path, message, node.where)])
    own = {key: _inner(value, slots, built) for key, value in node.values.items()}
    values = {
        **own,
        **{name: slots[name] for name in filled_slots(node.kind, target) if name not in own},
    }
    if is_part(target):
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


def _plurals(kinds: tuple[str, ...]) -> str:
    plurals = {"energy": "energies", "loss": "losses", "sampler": "samplers"}
    names = [plurals.get(kind, kind) for kind in kinds]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def callback_events(callback: Any) -> tuple[str, ...]:
    """List the events that a callback has a method for.

    Raises TypeError when it has none, or a method that can't be called with the event's arguments.
    """
    if inspect.isclass(callback):
        raise TypeError(f"should be a built callback; got {callback!r}")

    def of(part: Any, name: str) -> Any:
        return getattr(part, name, None)

    methods = [m for m in dir(callback) if m.startswith("on_") and callable(of(callback, m))]
    if strange := [m for m in methods if m not in EVENTS]:
        near = difflib.get_close_matches(strange[0], EVENTS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        events = ", ".join(EVENTS)
        raise TypeError(f"has a method {strange[0]!r}, but {hint}The events are: {events}")
    own = tuple(m for m in methods if of(type(callback), m) is not of(Callback, m))
    if not own:
        raise TypeError(f"should have a method of: {', '.join(EVENTS)}; got {callback!r:.80}")
    for event in own:
        expected = list(inspect.signature(getattr(Callback, event)).parameters)[1:]
        try:
            inspect.signature(getattr(callback, event)).bind(*expected)
        except TypeError as error:
            raise TypeError(f"{event} takes ({', '.join(expected)}): {error}") from error
    return own


def required_slots(loss: Callable[..., Any]) -> tuple[str, ...]:
    """List the slots that a built loss names without a default."""
    call = getattr(loss, "forward", loss)
    parameters = inspect.signature(call).parameters.values()
    return tuple(p.name for p in parameters if p.name in LOSS_SLOTS and p.default is p.empty)


def loss_slots(loss: Callable[..., Any], networks: Collection[str] = ()) -> tuple[str, ...]:
    """List the slots and the networks that a loss names, given the loss or the class that makes it.

    Raises TypeError when it has a positional parameter that is neither.
    """
    if inspect.isclass(loss):
        call = getattr(loss, "forward", None) or loss.__call__
        names = positional(call)[1:]  # without self
    else:
        call = getattr(loss, "forward", loss)
        names = positional(call)
    strange = [name for name in names if name not in LOSS_SLOTS and name not in networks]
    if strange:
        near = difflib.get_close_matches(strange[0], (*LOSS_SLOTS, *networks), 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise TypeError(
            f"asks for {strange[0]!r}, which is no slot and no network; slots: "
            f"{', '.join(LOSS_SLOTS)}; networks: {', '.join(networks) or 'none'}. {hint}"
            f"To make {strange[0]!r} a key of the config, write it after a `*`."
        )
    asked = asked_for(call, LOSS_SLOTS)
    return (*asked, *(name for name in names if name in networks))
