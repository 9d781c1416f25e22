"""The keys in which the configs of several runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from ebmcore_report.record import Record


def differences(runs: list[Record]) -> dict[str, list[Any]]:
    """Return the dotted keys whose values aren't the same in all runs, with each one's value."""
    flat = [dict(_leaves(config_of(run))) for run in runs]
    keys = dict.fromkeys(key for one in flat for key in one)
    found = {key: [one.get(key) for one in flat] for key in keys}
    return {key: values for key, values in found.items() if any(v != values[0] for v in values)}


def config_of(run: Record) -> Any:
    """Return the config of a run as plain values, nothing when it can't be read."""
    try:
        return yaml.load(run.config, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def short(value: Any) -> str:
    """Return a value as a config has it, a long one cut."""
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _leaves(value: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the leaves of a config as dotted keys; a list of plain values is one leaf."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{prefix}.{i}")
    elif prefix:
        yield prefix, value
