"""A trial's values in a few words, for the list of runs in a tracker."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

_VALUE = 20  # characters of one value


def label(values: Mapping[str, Any]) -> str:
    """Return the values as `lr=0.01 step_size=0.1`: the last word of each key, if it is unique.

    The key `sampler.type` reads `sampler`, and a whole part is named by its type.
    """
    keys = {key: key.removesuffix(".type") for key in values}
    short = {key: _last(name) for key, name in keys.items()}
    times = Counter(short.values())
    named = {key: short[key] if times[short[key]] == 1 else keys[key] for key in values}
    return " ".join(f"{named[key]}={_text(value)}" for key, value in values.items())


def _last(key: str) -> str:
    """Return a key's last word, and the word before it if that is a place in a list."""
    before, _, last = key.rpartition(".")
    return f"{before.rpartition('.')[2]}.{last}" if before and last.isdecimal() else last


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping) and isinstance(value.get("type"), str):
        return str(value["type"])
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _VALUE else f"{text[: _VALUE - 1]}…"
