"""A run's place in MLflow: the server, the name, and how to find it again."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from ebmcore.config.sections import Tracking
from ebmcore.masking import mask, mask_all
from ebmcore.runs.parent_child import fitting_token
from ebmcore.runs.user_signature import is_signed, sign
from ebmcore.trackers.mlflow.uris import whole_uri

DEFAULT_URI = "sqlite:///mlflow.db"
RUN_TAG = "ebmcore.run"  # its value is unique in all of MLflow
_ID = re.compile(r"[a-zA-Z0-9][\w-]{0,255}", re.ASCII)
_TEXT = 5000  # characters of a tag's value that every MLflow accepts


_SEALED = "mlflow"  # the purpose of a seal, so that no other seal of ours passes for it


class Target(NamedTuple):
    """A run's place in MLflow, as run.json keeps it under `mlflow`."""

    uri: str  # with its password in memory; masked in files
    experiment: str
    token: str  # the value of the tag ebmcore.run
    tags: dict[str, str]
    run_id: str | None = None
    experiment_id: str | None = None
    seal: str | None = None  # of uri and token, by the installation that recorded them

    def record(self, state: str) -> dict[str, Any]:
        """Return the fields for run.json; `state` is sending, complete or behind."""
        return {**mask_all(self._asdict()), "state": state}

    def sealed(self) -> Target:
        """Return the same with this user's seal, since they named the place, or had sealed it."""
        return self._replace(seal=sign(_SEALED, mask(self.uri), self.token))

    @property
    def is_ours(self) -> bool:
        """Tell whether this user's own installation recorded the place in the file."""
        return is_signed(self.seal, _SEALED, self.uri, self.token)


def new_token(name: str) -> str:
    """Return a unique name of a run: the directory's name and a random word."""
    fit = re.sub(r"[^\w.-]", "-", name, flags=re.ASCII)[:150]
    return f"{fit}-{secrets.token_hex(8)}"


def recorded_target(facts: Any) -> Target | None:
    """Return the target in run.json, None when it names no place; trusts nothing in it."""
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
        found.get("seal") if isinstance(found.get("seal"), str) else None,
    )


def new_target(tracking: Tracking, run: str, directory: str, tags: Mapping[str, str]) -> Target:
    """Return the place of a new run, by its config and the environment.

    Args:
        tracking: The config's section.
        run: The name in the run's config, the default name of its experiment.
        directory: The name of its directory.
        tags: Tags of its MLflow run, besides those of the config.

    Raises DestinationError when it is unclear which file is meant.
    """
    experiment = tracking.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or run
    told = {**tags, **tracking.tags}
    return Target(tracking_uri(tracking), mask(experiment), new_token(directory), mask_all(told))


def plain_tags(tags: Any) -> dict[str, str]:
    """Return the tags among these that are text."""
    if not isinstance(tags, Mapping):
        return {}
    return {str(k)[:250]: v[:_TEXT] for k, v in tags.items() if isinstance(v, str) and k}


def tracking_uri(tracking: Tracking) -> str:
    """Return the mirror's URI: the config's, else the environment's, else sqlite here.

    A sqlite file gets its whole path, since MLflow keeps the file of a relative one open.
    Raises DestinationError when SQLAlchemy would open another file.
    """
    return whole_uri(tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)


def _fitting(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
