"""A config as dotted keys, for places that hold no nested values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def flatten(values: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the leaves of a config as dotted keys; a list of plain values is one leaf."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, list) and any(isinstance(value, Mapping) for value in values):
        for index, value in enumerate(values):
            yield from flatten(value, f"{prefix}.{index}")
    elif prefix:
        yield prefix, values if isinstance(values, str) else json.dumps(values, default=str)
