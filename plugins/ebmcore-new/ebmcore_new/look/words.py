"""Values and sentences as a config holds them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"(?:\.{0,2}/|[A-Za-z_])(?:[\w./ ()-]*[\w./()-])?")
_TAKEN = {"true", "false", "null"}


def scalar(value: str | int | float) -> str:
    """Return a value as YAML: a text without quotes where it needs none."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _TAKEN:
        return value
    return json.dumps(value, ensure_ascii=False)


def listed(values: Iterable[str | int | float]) -> str:
    """Return values as a YAML list in one line."""
    return f"[{', '.join(map(scalar, values))}]"


def several(words: Iterable[str], most: int = 4) -> str:
    """Join words for a sentence, of many the first ones."""
    words = list(words)
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def counted(n: int, one: str) -> str:
    """Return a number with its noun: 1 row, 20 rows."""
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"
