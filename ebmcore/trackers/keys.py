"""The section `tracking` as it is written: MLflow's keys, one tracker, a list of them, or `off`."""

from __future__ import annotations

from typing import Any

from ebmcore.config.sections import is_section

_NAMES = ("mlflow", "ebmcore:mlflow")


def mlflow_keys(given: Any) -> dict[str, Any] | None:
    """Return MLflow's keys in what a config says; None when the run isn't sent there."""
    if is_section(given):
        return dict(given or {})
    for entry in given if isinstance(given, list) else [given]:
        if isinstance(entry, str) and entry in _NAMES:
            return {}
        if isinstance(entry, dict) and entry.get("type") in _NAMES:
            return {key: value for key, value in entry.items() if key != "type"}
    return None


def mlflow_uris(given: Any) -> set[str]:
    """Return the dotted places of MLflow's URI in a config."""
    if not isinstance(given, list):
        return set() if mlflow_keys(given) is None else {"tracking.uri"}
    return {f"tracking.{i}.uri" for i, entry in enumerate(given) if mlflow_keys(entry) is not None}


def other_trackers(given: Any) -> list[Any]:
    """Return the trackers besides MLflow in what a config says, as they are written."""
    entries = given if isinstance(given, list) else [given]
    return [e for e in entries if e not in ("off", False) and mlflow_keys(e) is None]


def with_mlflow_keys(given: Any, keys: dict[str, Any] | None) -> Any:
    """Return what a config says with other keys for MLflow; with None, MLflow is left out."""
    if not isinstance(given, list):
        if mlflow_keys(given) is None:
            return given
        typed = {} if is_section(given) else {"type": "mlflow"}
        return "off" if keys is None else {**typed, **keys}
    changed = [with_mlflow_keys(entry, keys) if entry is not None else None for entry in given]
    return [entry for entry in changed if entry != "off"] or "off"
