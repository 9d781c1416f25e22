"""Parts that don't fit the data: their event space, or labels that aren't there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NoReturn

from torch import Tensor

from ebmcore.config import Node, Train
from ebmcore.data.load import Data
from ebmcore.errors import ConfigError, PluginError, Problem
from ebmcore.monitoring.other_points import read_other
from ebmcore.plugins import Host
from ebmcore.spaces import Real, Space, as_space
from ebmcore.train.components import Parts

_VERBS = {"sampler": "moves in", "loss": "is of", "monitor": "looks at", "energy": "takes"}
_PLURALS = {"sampler": "samplers", "loss": "losses", "monitor": "monitors", "energy": "energies"}


def spaces_of(kind: str, part: Any) -> tuple[type[Space], ...]:
    """Return the classes of the spaces that a component serves; by default a sampler Real alone.

    Raises PluginError when its `spaces` hold anything else.
    """
    part = getattr(part, "func", part)  # of a partial
    found = getattr(part, "spaces", (Real,) if kind == "sampler" else (Space,))
    found = tuple(found) if isinstance(found, list | tuple) else (found,)
    if not all(isinstance(cls, type) and issubclass(cls, Space) for cls in found):
        raise PluginError(
            f"{kind} {part!r:.80}: `spaces` should list classes, such as (ebmcore.Real, "
            f"ebmcore.Binary); got {found!r}"
        )
    return found


def serves(kind: str, part: Any, space: Space) -> bool:
    """Tell whether a component serves the events of a space."""
    return isinstance(space, spaces_of(kind, part))


def misfit(kind: str, name: str, part: Any, space: Space, data: str, host: Host | None) -> str:
    """Say why a component can't serve the events of some data, and which ones would."""
    own = getattr(part, "func", part)
    there = " and ".join(cls.kind for cls in spaces_of(kind, part))
    default = "" if hasattr(own, "spaces") else "declares no `spaces`, so "
    text = f"{name} {default}{_VERBS[kind]} {there} events, and {data} are {space.kind}."
    if host is None:
        return text
    own_part = f"none; one of your own says `spaces = (ebmcore.{type(space).__name__},)`"
    fitting = ", ".join(_fitting(kind, space, host)) or own_part
    return f"{text} Installed {_PLURALS[kind]} for {space.kind} events: {fitting}."


def _fitting(kind: str, space: Space, host: Host) -> Iterable[str]:
    for component in host.components(kind):
        try:
            if serves(kind, component.load(), space):
                yield component.name
        except PluginError:
            continue


def all_serve(nodes: Iterable[Node], space: Space) -> bool:
    """Tell whether the components of a config serve the events of a space."""
    return all(serves(node.kind, node.target, space) for node in nodes if node.kind in _VERBS)


def refuse_misfits(nodes: Iterable[Node], space: Space | None, data: Node, host: Host) -> None:
    """Raise ConfigError for each component of a config that can't serve the data's events.

    `space` is None when it isn't known yet: then it is read from the config, or from the class or
    function of the dataset, so that a misfit is refused before anything is built; but not when
    there are transforms, which may change it.
    """
    space = space or (None if data.options.get("transform") else declared_space(data))
    if space is None:
        return
    problems = [
        Problem(
            f"{node.path}.type",
            misfit(node.kind, repr(node.type), node.target, space, f"data {data.name!r}", host),
            node.where,
        )
        for node in nodes
        if node.kind in _VERBS and not serves(node.kind, node.target, space)
    ]
    if problems:
        raise ConfigError(problems)


def declared_space(data: Node) -> Space | None:
    """Return the space that a config gives its data, or else their component's class declares."""
    if data.options.get("space") is not None:
        return as_space(data.options["space"])
    found = getattr(data.target, "space", None)
    return found if isinstance(found, Space) else None


def check_parts(parts: Parts, train: Train, refuse: Callable[[str, str], NoReturn]) -> None:
    """Refuse built parts that can't serve the data's events, or want labels that aren't there."""
    space = parts.data.space
    kernel = parts.sampler and parts.sampler.kernel
    built = [
        ("energy", "the energy", parts.energy),
        *([("sampler", "the sampler", kernel)] if kernel is not None else []),
        *(("loss", term.label, term.function) for term in parts.losses),
        *(("monitor", entry.label, entry.function) for entry in parts.monitors),
    ]
    for kind, name, part in built:
        if not serves(kind, part, space):
            path = "monitors" if kind == "monitor" else kind
            refuse(path, misfit(kind, name, part, space, "the data", None))
    if train.data_noise and not isinstance(space, Real):
        refuse(
            "train.data_noise",
            f"adds Gaussian noise, and the data are {space.kind}; leave the key out",
        )
    for term in parts.losses:
        if parts.data.y is None and "y" in term.required:
            refuse(
                "loss",
                f"{term.label} asks for labels, `y`, and the data have none: a dataset gives them "
                "as (x, y), a file by its key `y_key`",
            )


def check_start(data: Data, start: Tensor) -> None:
    """Raise ValueError when chains start at other events than the data's space has."""
    if isinstance(data.space, Real):
        return
    if start.dtype != data.x.dtype:
        raise ValueError(
            f"chains of {data.space.kind} events should start as {data.x.dtype}; got {start.dtype}"
        )
    data.space.check(start)


def check_monitor(monitor: Any, data: Data, energy: Any) -> None:
    """Call the `check` of a monitor that has one, which raises for a run that it can't look at.

    It gets the shape of an event, and what it names of `space`, `energy`, and `read`, the views'.
    """
    check = getattr(monitor, "check", None)
    if check is None:
        return
    offered = {"space": data.space, "energy": energy, "read": partial(read_other, data)}
    named = inspect.signature(check).parameters
    check(data.event_shape, **{name: offered[name] for name in offered if name in named})
