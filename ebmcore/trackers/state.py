"""The fields of run.json about trackers: MLflow's own, and one for all the others."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from ebmcore.masking import mask_all
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.status import STATES
from ebmcore.runs.user_signature import is_signed, sign
from ebmcore.trackers.entry import MLFLOW, TrackerEntry

OTHERS = "trackers"  # the field of all but MLflow: name -> its state and its own facts
_SEALED = "tracker"  # the purpose of a seal, so that no other seal of ours passes for it
_writing = threading.Lock()


def recorded(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what run.json holds of a tracker, empty when there is nothing."""
    if name == MLFLOW:
        found = facts.get(MLFLOW)
    else:
        others = facts.get(OTHERS)
        found = others.get(name) if isinstance(others, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def tracker_states(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return sending, complete or behind for each tracker besides MLflow in a run.json."""
    others = facts.get(OTHERS)
    names = [str(name)[:100] for name in others] if isinstance(others, Mapping) else []
    states = {name: recorded(facts, name).get("state") for name in names}
    return {name: state for name, state in states.items() if state in STATES}


def record(directory: RunDirectory, entry: TrackerEntry, state: str) -> None:
    """Write where a tracker shows the run; `state` is sending, complete or behind."""
    with _writing:  # each tracker's thread writes its part of one field
        directory.update(**field(directory.read(), entry, state))


def set_state(directory: RunDirectory, name: str, state: str) -> None:
    """Change the state of a tracker in run.json, where it has one; its seal stays as it is."""
    with _writing:
        facts = directory.read()
        if found := recorded(facts, name):
            changed = {**found, "state": state}
            others = {**(facts.get(OTHERS) or {}), name: changed}
            directory.update(**({MLFLOW: changed} if name == MLFLOW else {OTHERS: others}))


def field(facts: Mapping[str, Any], entry: TrackerEntry, state: str) -> dict[str, Any]:
    """Return the field of run.json that holds a tracker's record, with the others' in it."""
    found = {**mask_all(entry.tracker.record()), "state": state}
    if entry.name == MLFLOW:
        return {MLFLOW: found}
    others = facts.get(OTHERS)
    sealed = {**found, "seal": sign(_SEALED, entry.name, _text(entry))}
    return {OTHERS: {**(others if isinstance(others, Mapping) else {}), entry.name: sealed}}


def is_ours(facts: Mapping[str, Any], entry: TrackerEntry) -> bool:
    """Tell whether this user's own installation recorded a tracker with these very values."""
    return is_signed(recorded(facts, entry.name).get("seal"), _SEALED, entry.name, _text(entry))


def _text(entry: TrackerEntry) -> str:
    return json.dumps(mask_all(entry.record), sort_keys=True, default=str)
