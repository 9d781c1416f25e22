"""Values checked against parameters by pydantic, with every fault found."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from ebmcore.config.values.faults import faults_of, unknown_key
from ebmcore.config.values.models import model_of
from ebmcore.config.values.signature import REQUIRED, Parameter
from ebmcore.config.values.unknown_keys import dropped
from ebmcore.config.yaml import control_in


class Checked(NamedTuple):
    """Values that fit their parameters, as Python objects and as JSON, or the faults in them."""

    values: dict[str, Any]
    record: dict[str, Any]  # every default filled in
    faults: tuple[tuple[str, str], ...] = ()  # dotted place below the node, message


def check(parameters: Iterable[Parameter], given: dict[str, Any]) -> Checked:
    """Check a mapping against the parameters, and find every fault.

    A recorded default means that default, even if it doesn't fit its own type.
    """
    parameters = tuple(parameters)
    if faults := tuple((k, text) for k, v in given.items() for text in _no_yaml(v)):
        return Checked({}, {}, faults)
    recorded = {p.name for p in parameters if p.name in given and _is_default(given[p.name], p)}
    return _check(parameters, {k: v for k, v in given.items() if k not in recorded})


def _check(parameters: tuple[Parameter, ...], given: dict[str, Any]) -> Checked:
    model = model_of(parameters)
    names = tuple(p.name for p in parameters)
    try:
        values = model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        whole = _whole_numbers(given, errors)
        if whole is not None:
            return _check(parameters, whole)
        return Checked({}, {}, faults_of(errors, names, given))
    except Exception as error:
        return Checked({}, {}, _raised(parameters, given) or (("", _text(error)),))
    named = {p.name: getattr(values, f"p{i}") for i, p in enumerate(parameters)}
    unknown = (
        (".".join(map(str, (key, *place))), unknown_key(str(place[-1]), there))
        for key, value in given.items()
        for place, there in dropped(named[key], value)
    )
    if faults := tuple(unknown):
        return Checked({}, {}, faults)
    return Checked(named, {name: plain for name, value in named.items() for plain in _plain(value)})


def _no_yaml(value: Any) -> Iterable[str]:
    """Describe a value from Python that YAML can't hold."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        yield f"should be what YAML can hold: {error}"
    else:
        yield from list(dict.fromkeys(filter(None, map(control_in, _texts(value)))))[:1]


def _texts(value: Any) -> Iterable[str]:
    """Yield every text in a plain value, keys too."""
    if isinstance(value, str):
        yield value
    for item in (*value, *value.values()) if isinstance(value, dict) else ():
        yield from _texts(item)
    for item in value if isinstance(value, (list, tuple)) else ():
        yield from _texts(item)


def _is_default(value: Any, parameter: Parameter) -> bool:
    """Tell whether a value is the recorded default; 1 is not true, nor 1.0."""
    if parameter.default is REQUIRED:
        return False
    try:
        text = json.dumps(value, sort_keys=True)
        return any(json.dumps(p, sort_keys=True) == text for p in _plain(parameter.default))
    except (TypeError, ValueError):
        return False


def _raised(
    parameters: tuple[Parameter, ...], given: dict[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Find the keys whose own types raise for their values, and all other faults."""
    faults: list[tuple[str, str]] = []
    sound = []
    for parameter in parameters:
        own = {parameter.name: given[parameter.name]} if parameter.name in given else {}
        try:
            model_of((parameter,)).model_validate_json(json.dumps(own))
        except ValidationError:
            sound.append(parameter)
        except Exception as error:
            faults.append((parameter.name, f"can't be held against its type: {_text(error)}"))
        else:
            sound.append(parameter)
    if faults:
        broken = {name for name, _ in faults}
        rest = {k: v for k, v in given.items() if k not in broken}
        faults += _check(tuple(sound), rest).faults
    return tuple(faults)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _whole_numbers(given: dict[str, Any], errors: list[Any]) -> dict[str, Any] | None:
    """Return the values with 1e4 as 10000 for integer keys, or None if nothing changes."""
    changed = json.loads(json.dumps(given))
    found = False
    for error in errors:
        value = error["input"]
        if error["type"] not in ("int_type", "int_from_float") or not isinstance(value, float):
            continue
        if not value.is_integer():
            continue
        holder: Any = changed
        *path, last = (part for part in error["loc"])
        try:
            for part in path:
                holder = holder[part]
            if holder[last] == value:
                holder[last] = int(value)
                found = True
        except (KeyError, IndexError, TypeError):
            continue
    return changed if found else None


def _plain(value: Any) -> Iterable[Any]:
    """Yield the JSON form of a value; nothing for a default without one.

    Paths are absolute, so that the record means the same from any folder.
    """
    if isinstance(value, Path):
        yield str(value.expanduser().absolute())
        return
    try:
        yield to_jsonable_python(value)
    except Exception:  # a method of the value may raise anything
        return
