"""The contracts of what serves runs: launchers start them, trackers show them elsewhere.

`contracts.py` has those of a run's own components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Task(NamedTuple):
    """A command line for a launcher to start once, on any machine."""

    argv: tuple[str, ...]  # the program and its arguments
    log: Path  # file for its output and errors, appended; `open_log` opens it
    env: Mapping[str, str] = {}  # environment variables to add or replace


class Job(Protocol):
    """A task that was started, or waits for its start."""

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal's; None while it waits or runs.

        The code of a stopped task is never 0, unless it had ended before.
        """

    def stop(self) -> None:
        """Ask it to end, as SIGTERM does, and return at once; a second call changes nothing."""


class Launcher(Protocol):
    """Starts tasks, on this machine or on others.

    The caller limits how many run at once. A task's program, its folder (the current one) and its
    log have the same paths on the machine where it runs. `ebmcore.open_log` opens a log.
    """

    def start(self, task: Task) -> Job:
        """Start a task, or queue it, and return at once.

        Raises EbmError when it can't.
        """

    def close(self) -> None:
        """Stop running tasks, wait for their end, and release all resources."""


class Point(NamedTuple):
    """One value of one metric."""

    name: str
    step: int
    time: float  # seconds since 1970
    value: float  # may be nan, inf, -inf


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run directory, as its trackers see it."""

    dir: Path
    name: str
    started: float  # seconds since 1970
    config: Mapping[str, Any] = field(default_factory=dict)  # resolved, nested
    tags: Mapping[str, str] = field(default_factory=dict)  # its user, command, versions, group
    live: bool = True  # False: it has ended, and `ebmcore runs sync` sends the rest
    named: bool = True  # False: only the directory names this tracker, and anybody may have made it
    recorded: Mapping[str, Any] = field(default_factory=dict)  # what `record` returned before
    is_left: Callable[[], bool] = lambda: False  # tells that nobody waits: make no more calls


class Tracker:
    """Shows a run elsewhere: a thread reads the run directory and calls these methods in turn.

    The run never waits for them. Any method may raise: ebmcore pauses, calls `open` again, and
    sends again what may not have arrived. `RefusedError` means that this data will never be
    accepted; it is left out, and the run ends with a warning.
    """

    patience: float = 5.0  # seconds that a call may take once the run has ended
    answered: float = 0.0  # time.monotonic() of the last answer within a call of several requests
    place: str = ""  # where it shows the run, for messages
    notes: Sequence[str] = ()  # for the user, though nothing is missing
    checks_destination: bool = False  # True: `begin` refuses a place that only the directory names
    takes_checkpoints: bool = True  # False: the last checkpoint isn't sent, at the run's end

    def begin(self, run: TrackedRun) -> None:
        """Remember the run; called before its first step, maybe twice, so it calls nothing slow.

        The run's own thread calls it, so what only one thread may use is made by `open`.

        Raises EbmError, which says what to type, when the run must not be shown there.
        """
        self.run = run

    def open(self) -> bool:
        """Find the run there, or make it; return True when it is new and holds nothing yet."""
        raise NotImplementedError

    def steps_of(self, metric: str) -> Iterable[int]:
        """Return the steps at which it holds a value of the metric."""
        raise NotImplementedError

    def log_points(self, points: Sequence[Point]) -> None:
        """Add values that it doesn't hold, in the order in which they were recorded.

        They count as sent when it returns.
        """
        raise NotImplementedError

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Show the config; called after each `open`."""

    def log_events(self, lines: Mapping[int, str]) -> None:
        """Show lines of events.jsonl, by their numbers from 1 on; one may come twice."""

    def sizes_in(self, folder: str) -> Mapping[str, int]:
        """Return name -> bytes of the files that it holds of a folder of the run directory."""
        return {}

    def log_file(self, file: Path, folder: str) -> None:
        """Show a file of that folder: a figure, the config, the last checkpoint, the log.

        The path holds for this call alone, and may be a link to the file.
        """

    def end(self, status: str, ended: float) -> None:
        """Record the end: FINISHED, FAILED or KILLED, and when, in seconds since 1970.

        The rest of a KILLED run comes after it.
        """

    def close(self) -> None:
        """Release all resources, after the last call or before the next `open`."""

    def record(self) -> Mapping[str, Any]:
        """Return what run.json keeps, as JSON types, to find the run there again."""
        return {}
