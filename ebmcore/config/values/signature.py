"""The keys of a config, read from the signature of a class or a function."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any, NamedTuple

from ebmcore.contracts import BUILD_SLOTS, LOSS_SLOTS
from ebmcore.errors import PluginError

REQUIRED = inspect.Parameter.empty
_SLOTS = frozenset(BUILD_SLOTS + LOSS_SLOTS)


class Parameter(NamedTuple):
    """One key of a component's config."""

    name: str
    annotation: Any
    default: Any = REQUIRED
    description: str = ""


class Description(NamedTuple):
    """The parts of a docstring: its text, and the description of each parameter."""

    text: str
    arguments: dict[str, str]

    @property
    def summary(self) -> str:
        """The docstring's first paragraph, in one line."""
        return " ".join(self.text.split("\n\n")[0].split())


def component_parameters(target: Callable[..., Any]) -> tuple[Parameter, ...]:
    """List a component's config keys: its parameters but slots, `*args` and `**kwargs`."""
    return parameters(target, skip=BUILD_SLOTS if inspect.isclass(target) else _SLOTS)


def parameters(target: Callable[..., Any], *, skip: Collection[str] = ()) -> tuple[Parameter, ...]:
    """List the keys of a signature, but those to skip.

    Of a class, all of the constructor's parameters; of a function, the keyword-only ones.
    """
    is_class = inspect.isclass(target)
    try:
        signature = inspect.signature(target)
    except (ValueError, TypeError) as error:
        raise PluginError(f"{target!r} has no signature to read its keys from: {error}") from error
    described = describe(target).arguments
    hints = _Hints(target)
    factories = _made_defaults(target)
    return tuple(
        Parameter(p.name, hints.of(p), factories.get(p.name, p.default), described.get(p.name, ""))
        for p in signature.parameters.values()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and (is_class or p.kind is p.KEYWORD_ONLY)
        and p.name not in skip
    )


def _made_defaults(target: Any) -> dict[str, Any]:
    """Return the defaults of a dataclass's factories; its signature shows a marker instead."""
    if not (inspect.isclass(target) and dataclasses.is_dataclass(target)):
        return {}
    fields = dataclasses.fields(target)
    return {f.name: f.default_factory() for f in fields if callable(f.default_factory)}


def asked_for(target: Callable[..., Any], slots: Collection[str]) -> tuple[str, ...]:
    """List the slots that a target names in its signature."""
    return tuple(name for name in inspect.signature(target).parameters if name in slots)


def is_part(target: Callable[..., Any]) -> bool:
    """Tell whether a function is the component itself: it then has positional parameters.

    A function without them, or with build slots alone, makes the component.
    """
    return not inspect.isclass(target) and any(n not in BUILD_SLOTS for n in positional(target))


def filled_slots(kind: str, target: Callable[..., Any]) -> tuple[str, ...]:
    """List the build slots that a component is given when it is built, none when it is called."""
    later: set[str] = set()
    if is_part(target):
        later = {*positional(target), *(LOSS_SLOTS if kind == "loss" else ())}
    return asked_for(target, set(BUILD_SLOTS) - later)


def positional(target: Callable[..., Any]) -> tuple[str, ...]:
    """List the names of a function's positional parameters."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in inspect.signature(target).parameters.values() if p.kind in kinds)


def describe(target: Callable[..., Any]) -> Description:
    """Read the docstring, and the `Args:` block of it (Google style) or of the constructor's."""
    text, arguments = _split(inspect.getdoc(target) or "")
    if inspect.isclass(target) and target.__init__ is not object.__init__:
        own = inspect.getdoc(target.__init__) or ""
        arguments = {**_split(own)[1], **arguments}
    return Description(text, arguments)


def _split(doc: str) -> tuple[str, dict[str, str]]:
    block = re.search(r"^Args:[ ]*\n((?:[ ]+\S.*\n?|[ ]*\n)*)", doc, re.MULTILINE)
    if block is None:
        return doc.strip(), {}
    arguments: dict[str, str] = {}
    name = ""
    indent = len(block[1]) - len(block[1].lstrip(" "))
    for line in block[1].splitlines():
        entry = re.match(rf" {{{indent}}}\*{{0,2}}(\w+)(?:\s*\([^)]*\))?:\s*(.*)", line)
        if entry:
            name = entry[1]
            arguments[name] = entry[2]
        elif name and line.strip():
            arguments[name] += " " + line.strip()
    return (doc[: block.start()] + doc[block.end() :]).strip(), arguments


class Tensor:
    """Replaces torch's in modules that import it for type checkers alone."""


class _Hints:
    """The annotations of a signature, each resolved on its own.

    An annotation whose names only type checkers import becomes Any; the others stay known.
    """

    def __init__(self, target: Callable[..., Any]) -> None:
        function = target.__init__ if inspect.isclass(target) else target
        module = sys.modules.get(target.__module__)
        self.names = {**vars(typing), "Tensor": Tensor, **(vars(module) if module else {})}
        self.names |= getattr(inspect.unwrap(function), "__globals__", {})

    def of(self, parameter: inspect.Parameter) -> Any:
        """Resolve one parameter's annotation."""
        if parameter.annotation is inspect.Parameter.empty:
            return Any
        holder = SimpleNamespace(__annotations__={"it": parameter.annotation})
        try:
            return typing.get_type_hints(holder, self.names, include_extras=True)["it"]
        except Exception:
            return Any
