"""All trackers of one run: each follows its directory in a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from ebmcore.errors import EbmError
from ebmcore.runs.directory import RunDirectory
from ebmcore.service_contracts import TrackedRun, Tracker
from ebmcore.trackers.entry import MLFLOW, TrackerEntry, Trackers
from ebmcore.trackers.follower import Follower
from ebmcore.trackers.sender import first_line
from ebmcore.trackers.state import field, set_state

T = TypeVar("T", bound=Tracker)
_KILLED = 3.0  # seconds in which an interrupted run leaves


def first_record(directory: RunDirectory, trackers: Trackers, run: TrackedRun) -> dict[str, Any]:
    """Return the fields of a run's first run.json about its trackers, under this user's seal.

    A tracker that can't begin has none; it says why when the run starts.
    """
    fields: dict[str, Any] = {}
    for entry in trackers:
        with suppress(Exception):
            entry.tracker.begin(replace(run, recorded={}))
            fields |= field(fields, entry, "sending")
    return fields


class Followers:
    """The trackers of a run that begins or goes on; failures in them never reach the run.

    Args:
        directory: The run directory, whose run.json was written.
        trackers: The run's.
        run: The run, as trackers see it.
        warn: Is called for each tracker that may not show the run.
        wait: Whether to leave the processor to the run until its first line of metrics.
    """

    def __init__(
        self,
        directory: RunDirectory,
        trackers: Trackers,
        run: TrackedRun,
        warn: Callable[[str], None],
        *,
        wait: bool = True,
    ) -> None:
        self.directory = directory
        self._followers: list[Follower] = []
        for entry in trackers:
            try:
                follower = Follower(directory, entry, run, wait=wait)
                follower.start()
            except (Exception, SystemExit) as error:
                self._keep_back(entry, error, warn)
            else:
                self._followers.append(follower)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the trackers that follow the run."""
        return tuple(follower.entry.name for follower in self._followers)

    def find(self, kind: type[T]) -> T | None:
        """Return the tracker of this class that follows the run."""
        trackers = (follower.tracker for follower in self._followers)
        return next((tracker for tracker in trackers if isinstance(tracker, kind)), None)

    def recorded(self, name: str) -> Mapping[str, Any]:
        """Return what run.json keeps of a tracker, as far as it is known; empty without one."""
        found = (f.tracker.record() for f in self._followers if f.entry.name == name)
        return next(found, {})

    def wait_until_open(self, limit: float) -> None:
        """Wait until the trackers show the run, at most `limit` seconds and for no outage."""
        until = time.monotonic() + limit
        for follower in self._followers:
            follower.wait_until_open(until - time.monotonic())

    def finish(self, status: str, timeout: float = 60.0, *, leaves: bool = True) -> list[str]:
        """Send the rest and the status; return warnings about unsent data, and notes.

        Takes at most `timeout` seconds while the trackers answer, about five when they don't, and
        three for a KILLED run, whose process must end soon.
        """
        for follower in self._followers:
            follower.end(status)
        limit = min(timeout, _KILLED) if status == "KILLED" and leaves else timeout
        found: list[str] = []
        try:
            for follower in self._followers:
                found += _ended(follower, limit)
        finally:
            for follower in self._followers:
                follower.leave()
        return found

    def _keep_back(
        self, entry: TrackerEntry, error: BaseException, warn: Callable[[str], None]
    ) -> None:
        set_state(self.directory, entry.name, "behind")
        flag = "--uri" if entry.name == MLFLOW else f"--tracker {entry.name}"
        why = str(error) if isinstance(error, EbmError) else first_line(error)
        warn(
            f"nothing is sent to {entry.label}: {why}. "
            f"`ebmcore runs sync {self.directory.path} {flag}` sends it later"
        )


def _ended(follower: Follower, limit: float) -> list[str]:
    """Wait for the end of a follower; return its notes and warnings."""
    try:
        follower.wait(limit)
        problem, notes = follower.problem, list(follower.tracker.notes)
    except Exception as error:  # of a tracker's attributes, which are a plugin's
        with suppress(Exception):
            set_state(follower.directory, follower.entry.name, "behind")
        problem, notes = first_line(error), []
    label = follower.entry.label
    return [*notes, *([f"the {label} mirror is not complete: {problem}"] if problem else [])]
