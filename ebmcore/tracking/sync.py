"""Bringing MLflow up to what a run directory holds, after the run: `ebmcore runs sync`."""

from __future__ import annotations

import time
from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ebmcore.config import Tracking
from ebmcore.errors import EbmError
from ebmcore.masking import mask
from ebmcore.runs.layout import CONFIG
from ebmcore.tracking.account import Account, read_account
from ebmcore.tracking.destination.uris import DestinationError, same_place, whole_uri
from ebmcore.tracking.directory import RunDirectory, read_recorded
from ebmcore.tracking.lock import is_held
from ebmcore.tracking.remote import Remote
from ebmcore.tracking.sender import Sender, first_line, flatten
from ebmcore.tracking.tags import run_tags
from ebmcore.tracking.target import (
    Target,
    new_token,
    plain_tags,
    recorded_target,
    tracking_uri,
)
from ebmcore.tracking.trust import destination, with_password

_PARAMS = 2000  # parameters of one


class Synced(NamedTuple):
    """What came of one run."""

    path: Path
    outcome: Literal["sent", "already there", "skipped", "behind"]
    note: str = ""
    uri: str | None = None
    run_id: str | None = None
    answered: bool = True  # False: nothing was heard from MLflow

    def document(self) -> dict[str, Any]:
        """Return it as JSON types."""
        uri = None if self.uri is None else mask(self.uri)
        found = {**self._asdict(), "path": str(self.path), "uri": uri}
        del found["answered"]
        return found


def sync(
    run_dir: str | Path,
    *,
    uri: str | None = None,
    again: bool = False,
    silent: Collection[str] = (),
) -> Synced:
    """Send to MLflow what it lacks of a run, and mark a run whose process is gone as KILLED.

    Args:
        run_dir: The run's directory; nothing in it is trusted, and no link in it is followed.
        uri: Where to send it; by default where the run says, if the user's own installation wrote
            that or the environment names the same place.
        again: Whether to ask MLflow too when the run says that all of it is there.
        silent: Places that are not tried, since they just gave no answer.

    Raises EbmError when the directory is no run, or `uri` names no file that can be told.
    """
    account = read_account(run_dir)
    path = account.path
    uri = None if uri is None else whole_uri(uri)
    if account.problem is not None:
        raise EbmError(f"{path}: {account.problem}")
    if is_held(path):
        return Synced(path, "skipped", "its process is still writing it, and sends it itself")
    directory = RunDirectory(path)
    try:
        directory.lock.acquire()
    except EbmError as error:
        return Synced(path, "behind", str(error))
    try:
        account = read_account(path)._replace(process_gone=account.recorded == "RUNNING")
        return _synced(directory, account, uri, silent, again=again)
    finally:
        directory.lock.release()


def _synced(
    directory: RunDirectory,
    account: Account,
    uri: str | None,
    silent: Collection[str],
    *,
    again: bool,
) -> Synced:
    path = account.path
    ended = max(account.last_seen or account.started or time.time(), account.started or 0.0)
    if account.recorded == "RUNNING":
        directory.update(status="KILLED", ended=ended, error="its process is gone")
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
    if whole and is_own and target.run_id is not None and not again:
        return Synced(path, "already there", uri=mask(target.uri), run_id=target.run_id)
    try:
        there = destination(target) if uri is None else with_password(uri)
    except DestinationError as error:
        return Synced(path, "behind", f"nothing is sent: {error} (or name it by --uri)")
    if there in silent:
        return Synced(path, "behind", f"{mask(there)} gave no answer just now", there)
    target = target._replace(uri=there)
    if not is_own:  # a copy elsewhere, which its tag finds again; run.json keeps naming the first
        target = target._replace(run_id=None, experiment_id=None)
    if not target.token:
        target = target._replace(token=new_token(path.name))
    if is_own:
        target = target.sealed()
        directory.update(mlflow=target.record("behind"))
    remote = Remote(target, path.name, account.started or ended)
    sender = Sender(path, remote, _params(path), live=False)
    began = time.monotonic()
    problem = _send(sender, account.status, ended)
    if is_own:
        state = "behind" if problem or sender.kept else "complete"
        directory.update(mlflow=remote.target.record(state))
    run_id = remote.target.run_id
    refused = sender.refused
    note = f"MLflow refused {len(refused)} of it, such as {refused[0]}" if refused else ""
    told = "; ".join(filter(None, (*remote.notes, problem or sender.kept or note)))
    if problem is not None:
        return Synced(path, "behind", told, there, run_id, remote.heard > began)
    return Synced(path, "behind" if sender.kept else "sent", told, there, run_id)


def _send(sender: Sender, status: str, ended: float) -> str | None:
    """Send everything; go on after a failure as long as something arrives in between."""
    arrived = -1
    while True:
        try:
            while sender.catch_up(ended=True):
                pass
            sender.send_last_files()
            sender.say_status(status, ended)
        except (Exception, SystemExit) as error:  # whatever MLflow raises is told of
            sender.doubt()
            if sender.sent <= arrived or sender.remote.target.run_id is None:
                points, pictures = sender.unsent()
                what = f"{points} points and {pictures} pictures are left"
                return f"{mask(sender.remote.target.uri)}: {first_line(error)}; {what}"
            arrived = sender.sent
        else:
            return None


def _configured(account: Account, *, anyway: bool) -> Target | None:
    """Return where a run that never got so far as to say it was to go, by its config.

    Raises ConfigError when its config can't be read, unless the user names a place `anyway`.
    """
    is_told = not anyway and (account.path / CONFIG).exists()
    tree = read_recorded(account.path).tree if is_told else _config(account.path)
    found = tree.get("tracking", "off")
    if not isinstance(found, dict):
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


def _params(path: Path) -> dict[str, Any]:
    try:
        return dict(islice(flatten(_config(path)), _PARAMS))
    except (RecursionError, TypeError, ValueError):
        return {}


def _config(path: Path) -> dict[str, Any]:
    """Return the recorded config, empty when it can't be read."""
    try:
        return read_recorded(path).tree
    except (EbmError, ValueError, RecursionError):
        return {}
