"""The MLflow mirror: one background thread that sends the contents of the run directory.

The training loop never waits for it, it holds at most a bounded piece in memory, and unsent data
are still in the run directory. It waits for the end of an outage, with growing pauses.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ebmcore.config.sections import Tracking
from ebmcore.masking import mask
from ebmcore.runs.directory import RunDirectory
from ebmcore.trackers.mlflow.client import Remote
from ebmcore.trackers.mlflow.target import new_target, new_token, recorded_target, tracking_uri
from ebmcore.trackers.mlflow.trust import destination
from ebmcore.trackers.mlflow.uploader import Sender, first_line, flatten
from ebmcore.trackers.mlflow.uris import DestinationError

_INTERVAL = 1.0  # seconds between two checks of the run directory
_SHARE = 20  # the thread rests this many times as long as it worked
_LONGEST_REST = 10.0  # seconds
_LONGEST_PAUSE = 30.0  # seconds between two attempts while MLflow doesn't answer
_FIRST_LINE = 5.0  # seconds that training has the processor alone before MLflow is imported
_KILLED = 3.0  # seconds in which an interrupted run leaves
_ATTEMPTS = 2  # failed attempts after the run's end, after which MLflow counts as down


def first_record(
    directory: RunDirectory, tracking: Tracking | None, name: str, tags: Mapping[str, str]
) -> dict[str, Any]:
    """Return the field `mlflow` of a run's first run.json, under this user's seal.

    It is empty when tracking is off, and when the mirror can't start, which then says why.
    """
    if tracking is not None:
        with suppress(DestinationError):
            target = new_target(tracking, name, directory.path.name, tags)
            return {"mlflow": target.sealed().record("sending")}
    return {}


class Mirror:
    """Sends one run to MLflow in the background; failures there never reach the run.

    `named` means that the user names this tracking section now, rather than a file that anybody may
    have written. Raises DestinationError, which says what to type, when the run must not go to its
    destination.
    """

    def __init__(
        self,
        directory: RunDirectory,
        tracking: Tracking,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        *,
        named: bool = False,
        wait: bool = True,
    ) -> None:
        self.directory = directory
        self._waits = wait  # wait for the run's first line before MLflow is imported
        facts = directory.read()
        target = recorded_target(facts) or new_target(tracking, name, directory.path.name, tags)
        uri = destination(target, [tracking_uri(tracking)] if named else ())
        token = target.token or new_token(directory.path.name)
        target = target._replace(uri=uri, token=token).sealed()
        started = facts.get("started", time.time())
        self.remote = Remote(target, directory.path.name, started)
        self.sender = Sender(directory.path, self.remote, dict(flatten(params)), live=True)
        self.problem: str | None = None
        self._outage: str | None = None
        self._status: str | None = None
        self._ended = 0.0
        self._failures = 0  # failed attempts since the last success
        self._told = False  # whether MLflow knows how the run ended
        self._complete = False
        self._wake = threading.Event()
        self._left = threading.Event()  # nobody waits any more: make no more calls
        self.remote.is_left = self._left.is_set
        self._thread = threading.Thread(target=self._work, name="ebmcore-mlflow", daemon=True)

    def start(self) -> None:
        """Start to send; first records the destination in run.json, to find the run there again."""
        self._record("sending")
        self._thread.start()

    def finish(self, status: str, timeout: float = 60.0, *, leaves: bool = True) -> None:
        """Send the rest and the status; `problem` describes unsent data.

        Takes at most `timeout` seconds while MLflow answers, about five when it doesn't, and three
        for a KILLED run, whose process must end soon.
        """
        self._ended = self.directory.clock()
        self._status = status
        self._failures = 0
        began = time.monotonic()
        self._wake.set()
        limit = min(timeout, _KILLED) if status == "KILLED" and leaves else timeout
        try:
            while self._thread.is_alive() and not self._is_hopeless(began, limit):
                self._thread.join(0.02)
        finally:
            self._left.set()
        if not self._complete:
            self.problem = self._what_is_missing(time.monotonic() - began)
        elif self.sender.kept is not None:
            self.problem = self.sender.kept
        elif self.sender.refused:
            count, one = len(self.sender.refused), self.sender.refused[0]
            self.problem = f"MLflow refused {count} of what it was sent, such as {one}"
        whole = self._complete and self.sender.kept is None
        self._record("complete" if whole else "behind")

    def _is_hopeless(self, began: float, limit: float) -> bool:
        now = time.monotonic()
        quiet = now - max(began, self.remote.last_answer)
        down = self._failures >= _ATTEMPTS
        return down or now - began > limit or quiet > self.remote.patience

    def _what_is_missing(self, waited: float) -> str:
        points, pictures = self.sender.unsent()
        why = self._outage or f"no answer within {waited:.0f} s"
        return (
            f"{mask(self.remote.target.uri)}: {why}; {points} points and {pictures} pictures were "
            "not sent. They are kept in the run directory, and "
            f"`ebmcore runs sync {self.directory.path}` sends them"
        )

    def _record(self, state: str) -> None:
        self.directory.update(mlflow=self.remote.target.record(state))

    def _work(self) -> None:
        if self._waits:
            self._wait_for_the_first_line()
        while not self._left.is_set():
            began, taken = time.thread_time(), self.sender.taken
            status = self._status  # read first, so that the last pass sees everything
            try:
                more = self._send(status)
            except (Exception, SystemExit) as error:  # reported, and never stops a run
                if self.sender.taken > taken:  # it made progress, so the attempt counts as good
                    self._failures = 0
                self._broke(error)
                continue
            self._worked()
            if status is not None and not more:
                self._complete = True
                return
            rest = _SHARE * (time.thread_time() - began)
            if status is None:
                self._wake.wait(min(max(rest, _INTERVAL), _LONGEST_REST))

    def _wait_for_the_first_line(self) -> None:
        until = time.monotonic() + _FIRST_LINE
        while time.monotonic() < until and not self.directory.metrics_file.exists():
            if self._wake.wait(0.1):
                return

    def _send(self, status: str | None) -> bool:
        """Send a piece; return whether there is more. Sends a KILLED run's status first."""
        known = self.remote.target.run_id
        self.sender.open()
        if self.remote.target.run_id != known and not self._left.is_set():
            self._record("sending")
        if status == "KILLED" and not self._told:
            self.sender.say_status(status, self._ended)
            self._told = True
        if self.sender.catch_up(ended=status is not None):
            return True
        if status is not None:
            self.sender.send_last_files()
            if not self._told:
                self.sender.say_status(status, self._ended)
        return False

    def _broke(self, error: BaseException) -> None:
        self.sender.call_failed()
        self._failures += 1
        what = first_line(error)
        if self._outage is None and not self._left.is_set():
            self.directory.log("WARNING", f"MLflow: {what}; trying again until it works")
        self._outage = what
        pause = min(2.0 ** (self._failures - 1), _LONGEST_PAUSE)
        if self._status is None:
            self._wake.wait(pause)
        else:
            self._left.wait(min(pause, 1.0))

    @property
    def notes(self) -> list[str]:
        """Notes about the destination for the user, though nothing is missing there."""
        return self.remote.notes

    def _worked(self) -> None:
        if self._outage is not None and not self._left.is_set():
            self.directory.log("INFO", "MLflow: works again")
        self._outage, self._failures = None, 0
