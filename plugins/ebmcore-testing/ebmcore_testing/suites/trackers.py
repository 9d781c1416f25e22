"""The suite of trackers: each point once, whatever happens, and a run directory left as it is.

They are called as ebmcore calls them, with no network: `begin` in the run's thread, all else in one
of their own. The current folder is a temporary one meanwhile, so a relative path among the keys,
as in `check_params = {"file": "runs.db"}`, is a new place for each check. Keys that name a server
should name one for tests, where the checks leave their runs.

A run resumes with another object, which gets what `record` returned. A `RefusedError` is an answer
like any other, except for finite values.
"""

from __future__ import annotations

import gc
import json
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import torch

from ebmcore import RefusedError, Tracker
from ebmcore_testing.failures import NotApplicable, require
from ebmcore_testing.measures.followed_run import (
    CONFIG,
    METRICS,
    FollowedRun,
    Session,
    points,
    runs,
)
from ebmcore_testing.measures.observed import same_state, streams_untouched
from ebmcore_testing.suites.suite import Suite

_STEPS = range(0, 60, 5)
_STATUSES = ("FINISHED", "FAILED", "KILLED")
_HANDLES = Path("/dev/fd")  # of this process, on Linux and macOS
_PATIENCE = 1.0  # seconds for a thread to end that was asked to


class TrackerSuite(Suite):
    """The checks of a tracker."""

    kind = "tracker"
    taken_for_granted = "the thread that calls, the order of the calls, or the form of their data"

    def test_described(self) -> None:
        """It is a Tracker, whose attributes and record have the contract's types."""
        with runs() as new:
            tracker, run = self.build(), new()
            require(
                isinstance(tracker, Tracker),
                "described",
                expected="an ebmcore.Tracker",
                measured=f"a {type(tracker).__name__}",
                allowed="a subclass of ebmcore.Tracker, or a function that returns one",
                cause="a class of its own with the same methods",
            )
            tracker.begin(run.tracked)
            wrong = [name for name, is_right in _FIELDS.items() if not is_right(tracker)]
            require(
                not wrong,
                "described",
                expected="`place` a text, `notes` a list of texts, `patience` and `answered` "
                "numbers, `checks_destination` a bool, and a `record` of JSON types",
                measured=", ".join(f"{n} {_shown(tracker, n)}" for n in wrong),
                allowed="the types that `ebmcore.Tracker` names, once `begin` was called",
                cause="one text for `notes`, a Path in `record`, or a value that only `open` sets",
            )

    def test_points(self) -> None:
        """It holds each value at its step, and none that it wasn't sent."""
        with runs() as new:
            session = self._opened(run := new())
            session.send(points(_STEPS[:3]))
            session.send(points(_STEPS[3:]))
            session.close()
            cause = (
                "a step or value of 0 that counts as none, or a batch of which one value is taken"
            )
            self._require_held("points", run, cause)
            again = self._opened(run)
            found = again.steps_of("other")
            require(
                found == [],
                "points",
                expected="no step of a metric that was never recorded",
                measured=f"{found[:3]}, …",
                allowed="an empty list",
                cause="`steps_of` doesn't look at the metric's name",
            )

    def test_stored(self) -> None:
        """A value is there once `log_points` has returned, also if the process is killed then."""
        with runs() as new:
            session = self._opened(run := new())
            session.send(points(_STEPS))
            other = run.begin(self.build())
            try:
                other.open()
            except Exception as error:  # of a lock, which a killed process would not hold
                raise NotApplicable(f"it can't be opened twice at once: {error}") from error
            other.close()
            self._require_held("stored", run, "values that are kept until `end` or `close`")

    def test_resumes(self) -> None:
        """After a kill and a resume from an earlier step it holds each step once."""
        with runs() as new:
            session = self._opened(run := new())
            session.send(points(_STEPS[:8]))
            session.end("KILLED")
            session.close()
            again = run.begin(self.build())
            is_new, held, wanted = again.open(), again.held(), _counted(_STEPS[:8])
            require(
                not is_new and held == wanted,
                "resumes",
                expected=f"`open` returns False, and {len(_STEPS[:8])} steps of each metric",
                measured=f"{is_new}, and {_difference(wanted, held)}",
                allowed="the run that the same directory had",
                cause="True for a run that holds values, or another run that is made there: find "
                "the first one by run.dir or by run.recorded",
            )
            again.send_missing(points(_STEPS[5:], later=100.0))
            again.end("FINISHED")
            again.close()
            self._require_held("resumes", run, "a run that is made anew when it is opened")

    def test_reopens(self) -> None:
        """Closed after a failed call, and maybe again, it opens with all that it held."""
        with runs() as new:
            run = new()
            session = run.begin(self.build())
            session.break_off()  # its first `open` failed
            for end in range(3, len(_STEPS) + 3, 3):
                session.open()
                session.send_missing(points(_STEPS[:end]))
                session.break_off()
                session.break_off()
            cause = "steps that it remembers from before `close`, or a second `open` without effect"
            self._require_held("reopens", run, cause)

    def test_runs_apart(self) -> None:
        """Two runs of one config are two runs, also in one place."""
        with runs() as new:
            one, other = new(), new()
            for run, steps in ((one, _STEPS[:4]), (other, _STEPS[2:])):
                session = self._opened(run)
                session.send_missing(points(steps))
                session.close()
            cause = "a run that is known by run.name, which all runs of a config have: use run.dir"
            self._require_held("runs_apart", one, cause, _STEPS[:4])
            self._require_held("runs_apart", other, cause, _STEPS[2:])

    def test_values(self) -> None:
        """NaN and infinities are shown, left out or refused; the others arrive."""
        with runs() as new:
            session = self._opened(run := new())
            refused = set()
            for step, value in zip(_STEPS, (math.nan, math.inf, -math.inf, 1.0), strict=False):
                odd, even, _ = points([step])
                batch = [odd._replace(value=value), even]
                try:
                    session.send(batch)
                except RefusedError:  # then ebmcore sends each alone
                    for point in batch:
                        try:
                            session.send([point])
                        except RefusedError:
                            refused.add(point.name)
            session.close()
            again = self._opened(run)
            last = _STEPS[3] in again.steps_of(METRICS[0]) or METRICS[0] in refused
            others = again.steps_of(METRICS[1])
            require(
                last and others == list(_STEPS[:4]),
                "values",
                expected="each finite value beside and after nan, inf and -inf",
                measured=f"{METRICS[1]} at steps {others} of {list(_STEPS[:4])}"
                + ("" if last else f", and no later value of {METRICS[0]}"),
                allowed="that it shows nan and inf, leaves them out, or raises RefusedError",
                cause="a batch that is dropped for one value in it",
            )

    def test_config(self) -> None:
        """It takes a nested config after each `open`, and changes nothing in it."""
        with runs() as new:
            session = self._opened(run := new())
            session.close()
            session.open()
            require(
                run.tracked.config == CONFIG,
                "config",
                expected="the run's config stays as it is",
                measured="`log_config` changed it",
                allowed="no change",
                cause="pop or update on a mapping that other trackers get, too: copy it first",
            )

    def test_events(self) -> None:
        """It takes lines of events, and takes one that comes twice."""
        with runs() as new:
            session = self._opened(new())
            session.show_events([1, 2])
            session.break_off()
            session.open()
            session.show_events([2, 3])
            session.close()

    def test_files(self) -> None:
        """It takes files, which stay as they are; the sizes that it names are theirs."""
        with runs() as new:
            session = self._opened(run := new())
            before = run.files()
            session.show_files()
            session.end("FINISHED")
            session.close()
            changed = [name for name in before if run.files().get(name) != before[name]]
            require(
                not changed,
                "files",
                expected="the run directory's files stay as they are",
                measured=f"{', '.join(changed)}: changed or gone",
                allowed="reading the file while `log_file` is called",
                cause="a file that is moved instead of copied, or written to",
            )
            again = self._opened(run)
            sizes = again.sizes()
            wrong = [n for n, size in sizes.items() if size != len(before[n])]
            require(
                not wrong,
                "files",
                expected="`sizes_in`: the bytes of each file that it holds",
                measured=", ".join(f"{n}: {sizes[n]} of {len(before[n])}" for n in wrong),
                allowed="the file's own size, or no entry",
                cause="a size as it is stored, or a name without a size: ebmcore sends such a file "
                "again at each `open`",
            )

    def test_end(self) -> None:
        """It takes each status, the rest of a KILLED run after it, and another at a resume."""
        with runs() as new:
            for status in _STATUSES:
                session = self._opened(run := new())
                session.send(points(_STEPS[:6]))
                session.end(status)
                if status == "KILLED":  # ebmcore says it first, lest no time is left
                    session.send(points(_STEPS[6:]))
                session.close()
                again = self._opened(run)
                again.send_missing(points(_STEPS))
                again.end("FINISHED")
                again.close()
                self._require_held("end", run, "`end` that closes what later calls need")

    def test_released(self) -> None:
        """Closed, it holds no file, connection or thread of its own."""
        if not _HANDLES.is_dir():
            raise NotApplicable("this system doesn't list the open files of a process")
        with runs() as new:
            trackers, counts = [], []
            for _ in range(3):  # the first may load libraries that keep something
                trackers.append(self.build())
                self._live(trackers[-1], new())
                counts.append(_resources())
            _, before, after = counts
            end = time.monotonic() + _PATIENCE
            while _grew(before, after) and time.monotonic() < end:
                time.sleep(0.05)
                after = _resources()
            require(
                not _grew(before, after),
                "released",
                expected="as many open files and threads after a third run as after a second",
                measured=", ".join(f"{after[n]} {n}, from {before[n]}" for n in before),
                allowed="no more",
                cause="`close` that leaves a file, a connection or a thread open",
            )

    def test_process_untouched(self) -> None:
        """It draws from no global stream, and leaves torch its threads: the run goes on beside."""
        with runs() as new:
            threads = torch.get_num_threads()
            try:
                with streams_untouched("process_untouched"):
                    self._live(self.build(), new())
                found = torch.get_num_threads()
            finally:
                torch.set_num_threads(threads)
            require(
                found == threads,
                "process_untouched",
                expected=f"torch computes with {threads} threads, as before",
                measured=f"{found}",
                allowed="no change",
                cause="torch.set_num_threads, which is the whole process's",
            )

    def _opened(self, run: FollowedRun) -> Session:
        """Return a new tracker of a run, opened."""
        session = run.begin(self.build())
        session.open()
        return session

    def _live(self, tracker: Any, run: FollowedRun) -> None:
        """Call a tracker through a whole run."""
        session = run.begin(tracker)
        session.open()
        session.send(points(_STEPS))
        session.show_events([1, 2])
        session.show_files()
        session.end("FINISHED")
        session.close()
        session.leave()

    def _require_held(
        self, check: str, run: FollowedRun, cause: str, steps: range = _STEPS
    ) -> None:
        """Require of the tracker, opened by another object, each of the steps once."""
        session = self._opened(run)
        wanted, found = _counted(steps), session.held()
        session.close()
        require(
            found == wanted,
            check,
            expected=f"each of {len(steps)} steps of {len(METRICS)} metrics once",
            measured=_difference(wanted, found),
            allowed="no difference",
            cause=cause,
        )


def _counted(steps: range) -> Counter[tuple[str, int]]:
    return Counter((name, step) for name in METRICS for step in steps)


def _difference(wanted: Counter[tuple[str, int]], found: Counter[tuple[str, int]]) -> str:
    lost, added = wanted - found, found - wanted
    return f"{lost.total()} missing and {added.total()} too many" + "".join(
        f", such as {name} at step {step}" for name, step in [*lost, *added][:1]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_plain_record(tracker: Any) -> bool:
    record = tracker.record()
    try:
        return isinstance(record, Mapping) and same_state(json.loads(json.dumps(record)), record)
    except (TypeError, ValueError):
        return False


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "place": lambda tracker: isinstance(tracker.place, str),
    "notes": lambda tracker: (
        isinstance(tracker.notes, list | tuple) and all(isinstance(n, str) for n in tracker.notes)
    ),
    "patience": lambda tracker: _is_number(tracker.patience),
    "answered": lambda tracker: _is_number(tracker.answered),
    "checks_destination": lambda tracker: isinstance(tracker.checks_destination, bool),
    "record": _is_plain_record,
}


def _shown(tracker: Any, name: str) -> str:
    value = getattr(tracker, name)
    return f"{value() if name == 'record' else value!r:.80}"


def _resources() -> dict[str, int]:
    """Count this process's open files and threads, without those that garbage holds."""
    gc.collect()
    return {"open files": len(os.listdir(_HANDLES)), "threads": threading.active_count()}


def _grew(before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    return any(after[name] > before[name] for name in before)
