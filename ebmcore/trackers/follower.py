"""One background thread that shows a run directory in one tracker.

The training loop never waits for it, it holds at most a bounded piece in memory, and unsent data
are still in the run directory. It waits for the end of an outage, with growing pauses.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace

from ebmcore.errors import EbmError
from ebmcore.masking import mask
from ebmcore.runs.directory import RunDirectory
from ebmcore.service_contracts import TrackedRun
from ebmcore.trackers.entry import TrackerEntry
from ebmcore.trackers.sender import Sender, first_line
from ebmcore.trackers.state import is_ours, record, recorded

_INTERVAL = 1.0  # seconds between two checks of the run directory
_SHARE = 20  # the thread rests this many times as long as it worked
_LONGEST_REST = 10.0  # seconds
_LONGEST_PAUSE = 30.0  # seconds between two attempts while the tracker doesn't answer
_FIRST_LINE = 5.0  # seconds that training has the processor alone before a library is imported
_ATTEMPTS = 2  # failed attempts after the run's end, after which the tracker counts as down


def begin_tracker(entry: TrackerEntry, run: TrackedRun, directory: RunDirectory) -> TrackedRun:
    """Begin a tracker, with what run.json holds of it; return the run as it sees it.

    Raises EbmError, which says what to type, when the run must not be shown there.
    """
    facts = directory.read()
    run = replace(run, recorded=recorded(facts, entry.name))
    if not (entry.tracker.checks_destination or run.named or is_ours(facts, entry)):
        raise EbmError(
            f"{entry.name} is named by the directory alone, and it isn't known that you recorded it"
        )
    entry.tracker.begin(run)
    return run


class Follower:
    """Sends one run to one tracker in the background; failures there never reach the run.

    Raises EbmError, which says what to type, when the run must not be shown there.
    """

    def __init__(
        self, directory: RunDirectory, entry: TrackerEntry, run: TrackedRun, *, wait: bool = True
    ) -> None:
        self.directory = directory
        self.entry = entry
        self.tracker = entry.tracker
        self._waits = wait  # wait for the run's first line before a library is imported
        self._wake = threading.Event()
        self._left = threading.Event()  # nobody waits any more: make no more calls
        run = begin_tracker(entry, replace(run, is_left=self._left.is_set), directory)
        self.sender = Sender(run, entry.tracker)
        self.problem: str | None = None
        self._outage: str | None = None
        self._status: str | None = None
        self._ended = 0.0
        self._began_to_end = 0.0
        self._failures = 0  # failed attempts since the last success
        self._told = False  # whether the tracker knows how the run ended
        self._complete = False
        name = f"ebmcore-{entry.name}"
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Start to send; first records the destination in run.json, to find the run there again."""
        record(self.directory, self.entry, "sending")
        self._thread.start()

    def end(self, status: str) -> None:
        """Ask for the rest and the status, and return at once."""
        self._ended = self.directory.clock()
        self._failures = 0
        self._began_to_end = time.monotonic()
        self._status = status
        self._wake.set()

    def wait_until_open(self, limit: float) -> None:
        """Wait until the tracker shows the run; at most `limit` seconds, and for no outage."""
        began = time.monotonic()
        while not self.sender.was_open and self._thread.is_alive():
            if self._failures or self._is_hopeless(began, limit):
                return
            self._thread.join(0.02)

    def wait(self, limit: float) -> None:
        """Wait at most `limit` seconds since `end`; `problem` describes unsent data.

        It takes that long while the tracker answers, and about five seconds when it doesn't.
        """
        began = self._began_to_end
        try:
            while self._thread.is_alive() and not self._is_hopeless(began, limit):
                self._thread.join(0.02)
        finally:
            self.leave()
        if not self._complete:
            self.problem = self._what_is_missing(time.monotonic() - began)
        elif self.sender.kept is not None:
            self.problem = self.sender.kept
        elif self.sender.refused:
            count, one = len(self.sender.refused), self.sender.refused[0]
            label = self.entry.label
            self.problem = f"{label} refused {count} of what it was sent, such as {one}"
        whole = self._complete and self.sender.kept is None
        record(self.directory, self.entry, "complete" if whole else "behind")

    def leave(self) -> None:
        """Stop the thread before its next call."""
        self._left.set()

    def _is_hopeless(self, began: float, limit: float) -> bool:
        now = time.monotonic()
        quiet = now - max(began, self.sender.last_answer)
        down = self._failures >= _ATTEMPTS
        return down or now - began > limit or quiet > self.tracker.patience

    def _what_is_missing(self, waited: float) -> str:
        points, pictures = self.sender.unsent()
        why = self._outage or f"no answer within {waited:.0f} s"
        place = mask(str(self.tracker.place or self.entry.name))
        return (
            f"{place}: {why}; {points} points and {pictures} pictures "
            "were not sent. They are kept in the run directory, and "
            f"`ebmcore runs sync {self.directory.path}` sends them"
        )

    def _work(self) -> None:
        try:
            self._follow()
        finally:
            with suppress(Exception):
                self.tracker.close()

    def _follow(self) -> None:
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
        known = self.tracker.record()
        self.sender.open()
        if self.tracker.record() != known and not self._left.is_set():
            record(self.directory, self.entry, "sending")
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
            text = f"{self.entry.label}: {what}; trying again until it works"
            self.directory.log("WARNING", text)
        self._outage = what
        pause = min(2.0 ** (self._failures - 1), _LONGEST_PAUSE)
        if self._status is None:
            self._wake.wait(pause)
        else:
            self._left.wait(min(pause, 1.0))

    def _worked(self) -> None:
        if self._outage is not None and not self._left.is_set():
            self.directory.log("INFO", f"{self.entry.label}: works again")
        self._outage, self._failures = None, 0
