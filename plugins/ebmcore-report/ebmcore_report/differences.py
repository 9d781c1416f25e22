"""The keys in which the configs of several runs differ."""

from __future__ import annotations

from typing import Any

import yaml

from ebmcore.trackers import flatten
from ebmcore_report.record import Record


def differences(runs: list[Record]) -> dict[str, list[str | None]]:
    """Return the dotted keys whose values aren't the same in all runs, with each one's value."""
    flat = [dict(flatten(config_of(run))) for run in runs]
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


def short(value: str | None) -> str:
    """Return a value as a config has it, a long one cut."""
    if value is None:
        return "–"
    return value if len(value) <= 60 else f"{value[:57]}…"
