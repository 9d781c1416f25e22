"""A run that has ended, while the trackers get the rest of it, and how that went."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ebmcore.errors import EbmError
from ebmcore.masking import mask
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.lock import is_held
from ebmcore.runs.status import Account, read_account
from ebmcore.trackers.sender import Sender, first_line


class Synced(NamedTuple):
    """The outcome of sending one run to one tracker."""

    path: Path
    outcome: Literal["sent", "already there", "skipped", "behind"]
    note: str = ""
    uri: str | None = None
    run_id: str | None = None
    answered: bool = True  # False: the tracker never answered
    tracker: str = "mlflow"

    def document(self) -> dict[str, Any]:
        """Return it as JSON types."""
        uri = None if self.uri is None else mask(self.uri)
        found = {**self._asdict(), "path": str(self.path), "uri": uri}
        del found["answered"]
        return found


Send = Callable[[RunDirectory, Account], list[Synced]]


def with_ended_run(run_dir: str | Path, send: Send) -> list[Synced]:
    """Call `send` with a run that no process writes; its status is KILLED if its process is gone.

    Nothing in the directory is trusted, and no link in it is followed. Raises EbmError when it is
    no run.
    """
    account = read_account(run_dir)
    path = account.path
    if account.problem is not None:
        raise EbmError(f"{path}: {account.problem}")
    if is_held(path):
        return [Synced(path, "skipped", "its process is still writing it, and sends it itself")]
    directory = RunDirectory(path)
    try:
        directory.lock.acquire()
    except EbmError as error:
        return [Synced(path, "behind", str(error))]
    try:
        account = read_account(path)._replace(process_gone=account.recorded == "RUNNING")
        if account.recorded == "RUNNING":
            directory.update(status="KILLED", ended=ended(account), error="its process is gone")
        return send(directory, account)
    finally:
        directory.lock.release()


def ended(account: Account) -> float:
    """Return when a run ended, or was last seen, in seconds since 1970."""
    return max(account.last_seen or account.started or time.time(), account.started or 0.0)


def attempt(sender: Sender, send: Callable[[], None]) -> str | None:
    """Send one thing that a tracker lacks, once; return why it didn't get it, if so."""
    try:
        sender.open()
        send()
    except (Exception, SystemExit) as error:
        return f"{mask(str(sender.tracker.place))}: {first_line(error)}"
    finally:
        with suppress(Exception):
            sender.tracker.close()
    return None


def send_rest(sender: Sender, account: Account) -> str | None:
    """Send everything; go on after a failure as long as there is progress in between.

    Returns what is missing, and why.
    """
    arrived = -1
    while True:
        try:
            while sender.catch_up(ended=True):
                pass
            sender.send_last_files()
            sender.say_status(account.status, ended(account))
        except (Exception, SystemExit) as error:  # the outcome reports anything that is raised
            sender.call_failed()
            if sender.sent <= arrived or not sender.was_open:
                points, pictures = sender.unsent()
                what = f"{points} points and {pictures} pictures are left"
                return f"{mask(str(sender.tracker.place))}: {first_line(error)}; {what}"
            arrived = sender.sent
        else:
            with suppress(Exception):
                sender.tracker.close()
            return None
