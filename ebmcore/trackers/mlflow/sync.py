"""Bring MLflow up to date with a run directory, after the run: `ebmcore runs sync`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Any

from ebmcore.config import Tracking
from ebmcore.errors import EbmError
from ebmcore.masking import mask
from ebmcore.runs.directory import RunDirectory, read_recorded
from ebmcore.runs.layout import CONFIG
from ebmcore.runs.status import Account, read_account
from ebmcore.service_contracts import TrackedRun
from ebmcore.trackers.entry import MLFLOW
from ebmcore.trackers.flatten import flatten
from ebmcore.trackers.keys import mlflow_keys
from ebmcore.trackers.mlflow.target import (
    Target,
    new_token,
    plain_tags,
    recorded_target,
    tracking_uri,
)
from ebmcore.trackers.mlflow.tracker import MLflow
from ebmcore.trackers.mlflow.trusted_destinations import destination, with_password
from ebmcore.trackers.mlflow.uris import DestinationError, same_place, whole_uri
from ebmcore.trackers.sender import Sender
from ebmcore.trackers.synced import Synced, attempt, ended, send_rest, with_ended_run
from ebmcore.trackers.tags import run_tags

_PARAMS = 2000  # the most parameters of a run that are looked at


def sync(
    run_dir: str | Path,
    *,
    uri: str | None = None,
    again: bool = False,
    silent: Collection[str] = (),
) -> Synced:
    """Send MLflow the missing points of a run, and mark a run whose process is gone as KILLED.

    Args:
        run_dir: The run's directory; nothing in it is trusted, and no link in it is followed.
        uri: The destination; by default the run's own, if the user's own installation wrote that
            or the environment names the same place.
        again: Whether to ask MLflow even if the run is recorded as complete.
        silent: Places not to try, since they just gave no answer.

    Raises EbmError when the directory is no run, or it is unclear which file `uri` means.
    """
    uri = None if uri is None else whole_uri(uri)
    (found,) = with_ended_run(
        run_dir,
        lambda directory, account: [to_mlflow(directory, account, uri, silent, again=again)],
    )
    return found


def show_evaluation(run_dir: str | Path) -> list[str]:
    """Send what `ebmcore evaluate` found of a run to its MLflow; return a warning if that failed.

    A run that was never recorded there is left alone, and one that goes on sends it at its end.
    """
    if MLFLOW not in read_account(run_dir).facts:
        return []
    try:
        (found,) = with_ended_run(
            run_dir,
            lambda directory, account: [to_mlflow(directory, account, evaluated=True)],
        )
    except (EbmError, OSError) as error:
        found = Synced(Path(run_dir), "behind", str(error))
    if found.outcome != "behind":
        return []
    again = f"`ebmcore runs sync {run_dir}` sends it"
    return [f"MLflow doesn't show the evaluation: {found.note}. {again}"]


def to_mlflow(
    directory: RunDirectory,
    account: Account,
    uri: str | None = None,
    silent: Collection[str] = (),
    *,
    again: bool = False,
    evaluated: bool = False,
) -> Synced:
    """Send a run that no process writes, and that this one has locked.

    With `evaluated`, of a run that is there as a whole only its evaluation is sent.
    """
    path = account.path
    recorded = recorded_target(account.facts)
    try:
        target = recorded or _configured(account, anyway=uri is not None)
    except (EbmError, ValueError, RecursionError) as error:
        why = mask(str(error)).partition("\n")[0]
        return Synced(path, "behind", f"nothing is sent: {why} (or name it by --uri)")
    if target is None:
        return Synced(path, "skipped", "its tracking is off; --uri says where to send it")
    is_own = recorded is None or uri is None or same_place(recorded.uri, uri)
    whole = account.mlflow == "complete" and account.recorded != "RUNNING"
    if whole and is_own and target.run_id is not None and not (again or evaluated):
        return Synced(path, "already there", uri=mask(target.uri), run_id=target.run_id)
    try:
        there = destination(target) if uri is None else with_password(uri)
    except DestinationError as error:
        return Synced(path, "behind", f"nothing is sent: {error} (or name it by --uri)")
    if there in silent:
        return Synced(path, "behind", f"{mask(there)} gave no answer just now", there)
    target = target._replace(uri=there)
    if not is_own:  # a copy elsewhere, found again by its tag; run.json still names the first
        target = target._replace(run_id=None, experiment_id=None)
    if not target.token:
        target = target._replace(token=new_token(path.name))
    if is_own:
        target = target.sealed()
        directory.update(mlflow=target.record("behind"))
    tracker = MLflow(**_settings(path, is_own and recorded is not None and recorded.is_ours))
    run = TrackedRun(
        dir=path, name=path.name, started=account.started or ended(account),
        config=_readable(path), live=False,
    )  # fmt: skip
    tracker.follow(run, target)
    remote, sender = tracker.remote, Sender(run, tracker)
    began = time.monotonic()
    if evaluated and whole:
        problem = attempt(sender, tracker.log_evaluation)
    else:
        problem = send_rest(sender, account)
    if is_own:
        state = "behind" if problem or sender.kept else "complete"
        directory.update(mlflow=remote.target.record(state))
    run_id = remote.target.run_id
    refused = sender.refused
    note = f"MLflow refused {len(refused)} of it, such as {refused[0]}" if refused else ""
    told = "; ".join(filter(None, (*remote.notes, problem or sender.kept or note)))
    if problem is not None:
        return Synced(path, "behind", told, there, run_id, sender.last_answer > began)
    return Synced(path, "behind" if sender.kept else "sent", told, there, run_id)


def _configured(account: Account, *, anyway: bool) -> Target | None:
    """Return the destination in the config of a run that never recorded one in run.json.

    Raises ConfigError when its config can't be read, unless the user names a place `anyway`.
    """
    is_told = not anyway and (account.path / CONFIG).exists()
    tree = read_recorded(account.path).tree if is_told else _config(account.path)
    found = mlflow_keys(tree.get("tracking", "off"))
    if found is None:
        found = {}
        if not anyway:
            return None
    uri, experiment, name = (
        value if isinstance(value, str) and value else None
        for value in (found.get("uri"), found.get("experiment"), account.facts.get("name"))
    )
    tags = run_tags(account.path, account.facts) | plain_tags(found.get("tags"))
    return Target(
        tracking_uri(Tracking(uri=uri)), (experiment or name or "experiment")[:500], "", tags
    )


def _settings(path: Path, is_ours: bool) -> dict[str, Any]:
    """Return what the config says of the model; a name in the registry only in the user's own."""
    keys = mlflow_keys(_config(path).get("tracking")) or {}
    name, sent = keys.get("register"), keys.get("checkpoints")
    return {
        "register": name if is_ours and isinstance(name, str) else None,
        "checkpoints": sent if sent in ("last", "none") else "weights",
        "input_example": keys.get("input_example") is not False,
    }


def _readable(path: Path) -> dict[str, Any]:
    """Return the recorded config, empty when MLflow can't show it as parameters."""
    tree = _config(path)
    try:
        deque(islice(flatten(tree), _PARAMS), maxlen=0)
    except (RecursionError, TypeError, ValueError):
        return {}
    return tree


def _config(path: Path) -> dict[str, Any]:
    """Return the recorded config, empty when it can't be read."""
    try:
        return read_recorded(path).tree
    except (EbmError, ValueError, RecursionError):
        return {}
