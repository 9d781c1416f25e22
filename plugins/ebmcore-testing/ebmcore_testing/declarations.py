"""Read a component's declarations of how to check it; they may hold anything.

    check_params         a mapping, or a list of mappings: keys to check the component with
    check_event_shapes   the event shapes to try
    check_energy, check_batch, check_space    the energy, the data and the event space to check with
    expected_failures    check -> why it must fail

Nothing heavy is imported here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ebmcore.config import clashes
from ebmcore.errors import EbmError, raised_at


def check_params(target: Any) -> list[Mapping[str, Any]]:
    """Return the sets of keys to check a component with; an empty one when it names none."""
    given = _declared(target, "check_params")
    sets = [given or {}] if given is None or isinstance(given, Mapping) else given
    if not isinstance(sets, (list, tuple)) or not all(map(_is_named, sets)):
        raise EbmError(
            f"check_params should be a mapping of keys, or a list of mappings; got {given!r:.200}"
        )
    return list(sets) or [{}]


def event_shapes(given: Any) -> tuple[tuple[int, ...], ...]:
    """Return event shapes as tuples, (2,) alone when none are given."""
    if given is None:
        return ((2,),)
    if not isinstance(given, (list, tuple)) or not all(map(_is_shape, given)):
        raise EbmError(
            "event shapes should be a list of tuples of positive whole numbers, such as "
            f"[(2,), (3, 8, 8)]; got {given!r:.200}"
        )
    return tuple(tuple(shape) for shape in given) or ((2,),)


def check_event_shapes(target: Any) -> tuple[tuple[int, ...], ...]:
    """Return the event shapes that a component is to be tried on."""
    try:
        return event_shapes(_declared(target, "check_event_shapes"))
    except EbmError as error:
        raise EbmError(f"check_event_shapes: {error}") from error


def given(name: str, suite: object, target: Any) -> Any:
    """Return a declaration of the suite, or else of the component, or None.

    A function in a suite's class takes the suite only if it names `self`, so that a suite may hold
    a function that was written elsewhere.
    """
    own = inspect.getattr_static(suite, name, None)
    if isinstance(own, (staticmethod, classmethod, property)):
        return getattr(suite, name)
    if inspect.isfunction(own) and next(iter(inspect.signature(own).parameters), "") == "self":
        return getattr(suite, name)
    return _declared(target, name) if own is None else own


def expected_failures(target: Any) -> Mapping[str, str]:
    """Return the checks that a component must fail, and why."""
    given = _declared(target, "expected_failures")
    if given is None:
        return {}
    named = isinstance(given, Mapping) and _is_named(given)
    if not named or not all(isinstance(reason, str) for reason in given.values()):
        raise EbmError(
            f"expected_failures should be a mapping of checks to reasons; got {given!r:.200}"
        )
    return given  # type: ignore[no-any-return] # just held against it


def unusable_keys(kind: str, target: Any) -> str:
    """Say which of a component's parameters have names that are the core's own keys in a config."""
    names = ", ".join(map(repr, sorted(clashes(kind, target))))
    if not names:
        return ""
    return (
        f"no config can use it: a {kind}'s key {names} is the core's own, so its parameter needs "
        "another name"
    )


def _declared(target: Any, name: str) -> Any:
    try:
        return getattr(target, name, None)
    except (Exception, SystemExit) as error:
        raise EbmError(
            f"{name} can't be read: {type(error).__name__}: {error} ({raised_at(error)})"
        ) from error


def _is_named(keys: Any) -> bool:
    return isinstance(keys, Mapping) and all(isinstance(key, str) for key in keys)


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, (list, tuple)) and all(type(n) is int and n > 0 for n in shape)
