"""Messages about values that don't fit: one for each place, made of pydantic's errors."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

from ebmcore.plugins.aliases import keys_called


def faults_of(
    errors: list[Any], names: tuple[str, ...], given: dict[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Turn pydantic's errors into ours, one for each place, joining a union's branches by `or`."""
    messages: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for error in errors:
        place, text = _fault(error, names, given)
        messages.setdefault(place, []).append(text)
        if error["type"] not in ("missing", "extra_forbidden"):
            found[place] = f"; got {_short(error['input'])}"
    return tuple(
        (place, " or ".join(dict.fromkeys(texts)) + found.get(place, ""))
        for place, texts in messages.items()
    )


def _fault(error: Any, names: tuple[str, ...], given: dict[str, Any]) -> tuple[str, str]:
    path = _own_path(error, given)
    place = ".".join(map(str, path))
    if error["type"] == "extra_forbidden":
        if len(path) > 1:  # inside a component's own model
            return place, "unknown key"
        return place, unknown_key(place, names)
    if error["type"] == "missing":
        return place, "missing; it has no default"
    text = error["msg"].removeprefix("Value error, ")
    text = text.replace("Input should be", "should be")
    return place, text[0].lower() + text[1:]


def unknown_key(key: str, names: Iterable[str]) -> str:
    """Return the message about an unknown key, with the nearest of the known names.

    A word of the field counts as near; so does a key of another place when none here is.
    """
    names = tuple(names)
    meant = keys_called(key)
    near = [name for name in meant if name in names] or difflib.get_close_matches(key, names, 1)
    near = near or [name for name in meant if "." in name]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown key.{hint} Keys here: {', '.join(names) or 'none'}"


def _own_path(error: Any, given: Any) -> list[str | int]:
    """Return the place of an error without the names of a union's branches."""
    absent = error["type"] == "missing"
    path: list[str | int] = []
    for i, part in enumerate(error["loc"]):
        inside = part in given if isinstance(given, dict) else isinstance(part, int)
        if not inside and not (absent and i == len(error["loc"]) - 1):
            continue
        path.append(part)
        holds = isinstance(given, dict) or (isinstance(given, list) and int(part) < len(given))
        given = given[part] if inside and holds else None
    return path


def _short(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:57] + "…"
