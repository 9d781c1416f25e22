"""What a run is in MLflow: where, under which name, and how it is found again."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ebmcore.config.sections import Tracking

DEFAULT_URI = "sqlite:///mlflow.db"
RUN_TAG = "ebmcore.run"  # its value stands once in all of MLflow
_TOKEN = re.compile(r"[\w.-]{1,200}", re.ASCII)
_ID = re.compile(r"[a-zA-Z0-9][\w-]{0,255}", re.ASCII)
_TEXT = 5000  # characters of a tag's value that every MLflow takes


class Target(NamedTuple):
    """A run's place in MLflow, as run.json keeps it under `mlflow`."""

    uri: str
    experiment: str
    token: str  # the value of the tag ebmcore.run
    tags: dict[str, str]
    run_id: str | None = None
    experiment_id: str | None = None

    def record(self, state: str) -> dict[str, Any]:
        """Return what run.json keeps; `state` is sending, complete or behind."""
        return {**self._asdict(), "state": state}


def new_token(name: str) -> str:
    """Return what names one run and no other: the directory's name and a random word."""
    fit = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)[:150]
    return f"{fit}-{secrets.token_hex(8)}"


def recorded_target(facts: Any) -> Target | None:
    """Return what run.json says of MLflow, None when it names no place; nothing is trusted."""
    found = facts.get("mlflow") if isinstance(facts, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    uri, experiment, tags = found.get("uri"), found.get("experiment"), found.get("tags")
    if not isinstance(uri, str) or not uri:
        return None
    name = facts.get("name")
    known = experiment if isinstance(experiment, str) and experiment else name
    return Target(
        uri,
        known[:500] if isinstance(known, str) and known else "experiment",
        fitting_token(found.get("token")) or "",
        plain_tags(tags),
        _fitting(_ID, found.get("run_id")),
        _fitting(_ID, found.get("experiment_id")),
    )


def fitting_token(token: Any) -> str | None:
    """Return what may be the value of the tag `ebmcore.run`, None for anything else."""
    return _fitting(_TOKEN, token)


def plain_tags(tags: Any) -> dict[str, str]:
    """Return the tags among these that are text."""
    if not isinstance(tags, Mapping):
        return {}
    return {str(k)[:250]: v[:_TEXT] for k, v in tags.items() if isinstance(v, str) and k}


def tracking_uri(tracking: Tracking) -> str:
    """Return where the mirror is: the config's word, else the environment's, else sqlite here.

    A sqlite file is named by its whole path: MLflow keeps open what a relative one once meant.
    """
    return whole_uri(tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)


def whole_uri(uri: str) -> str:
    """Return the same place with a sqlite file named by its whole path."""
    scheme, slashes, path = uri.partition(":///")
    return uri if scheme != "sqlite" else f"{scheme}{slashes}{Path(path).absolute()}"


def shown(uri: str) -> str:
    """Return a tracking uri without the password that may stand in it."""
    return re.sub(r"://[^/@]*@", "://***@", uri)


def _fitting(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
