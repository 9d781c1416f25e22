"""Send a run directory to a tracker, piece by piece, so that each point is there once.

The run directory is the queue. The process remembers how far it has sent; if that is uncertain (a
resumed run, a failed call that may have worked all the same), it asks the tracker which points it
has.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from ebmcore.errors import RefusedError
from ebmcore.masking import mask
from ebmcore.runs.jsonl import PIECE, count_points, is_plain, read_piece, read_points
from ebmcore.runs.layout import CONFIG, EVENTS, METRICS, SYSTEM
from ebmcore.service_contracts import Point, TrackedRun, Tracker
from ebmcore.trackers.files import Pictures, last_files, opened_path

P = ParamSpec("P")
T = TypeVar("T")

_BATCH = 500  # points in one call; MLflow accepts 1000, but a busy server is slow with those
_PICTURES = 20  # pictures in one piece of work
_VALUES = (METRICS, SYSTEM)  # files with lines of values
_SETTLE = 1.0  # seconds for a server to finish calls from before its outage


class Held:
    """The steps of each metric that the tracker has; asked once for each metric."""

    def __init__(self, ask: Callable[[str], Iterable[int]]) -> None:
        self.ask = ask
        self._steps: dict[str, array[int]] = {}  # sorted, eight bytes a step

    def missing(self, points: Iterable[Point]) -> list[Point]:
        """Return the points that the tracker lacks."""
        return [point for point in points if not self._has(point)]

    def _has(self, point: Point) -> bool:
        if point.name not in self._steps:
            self._steps[point.name] = array("q", sorted(self.ask(point.name)))
        steps = self._steps[point.name]
        place = bisect_left(steps, point.step)
        return place < len(steps) and steps[place] == point.step


class Sender:
    """Brings one tracker up to date with a run's directory; every method may raise.

    After an exception call `call_failed`, wait, and call the method again. `tracker` has begun.
    """

    def __init__(self, run: TrackedRun, tracker: Tracker) -> None:
        self.run = run
        self.run_dir = run.dir
        self.tracker = tracker
        self._read: dict[str, int] = {}  # file of values -> bytes of it that were sent
        self.taken = 0  # successful calls with points
        self.answered = time.monotonic()  # the time of the last answer
        self.refused: list[str] = []  # data that the tracker will never accept
        self.kept: str | None = None  # why files stay here, if the tracker takes none
        self._unwelcome: set[str] = set()  # metrics that it refused once
        self.was_open = False  # at least once
        self._open = False
        self._is_uncertain = False
        self._held: Held | None = None  # None: the tracker has only data sent from here
        self._ask_files = False
        self._there: dict[str, dict[str, int]] = {}
        self._pictures = Pictures(run.dir)
        self._events = (0, 0)  # bytes of events.jsonl that were sent, lines in them

    @property
    def sent(self) -> int:
        """The bytes of lines of values that were sent."""
        return sum(self._read.values())

    @property
    def last_answer(self) -> float:
        """The time of the tracker's last answer, by time.monotonic."""
        return max(self.answered, self.tracker.answered)

    def call_failed(self) -> None:
        """Record that a call failed, so that the tracker's contents are uncertain."""
        self._open, self._is_uncertain = False, True
        self._there = {}

    def open(self) -> None:
        """Find or create the run with its config, unless it is open already."""
        if self._open:
            return
        if self._is_uncertain:
            with suppress(Exception):
                self.tracker.close()
        before = self.tracker.record()
        is_new = self._call(self.tracker.open)
        if self._is_uncertain:
            time.sleep(_SETTLE)  # it answers again: let it finish earlier calls
        if is_new or self.tracker.record() != before:  # another place has nothing yet
            self._read, self._events = {}, (0, 0)
            self._pictures = Pictures(self.run_dir)
        fresh = is_new and not self._is_uncertain
        self._held = None if fresh else Held(lambda name: self._call(self.tracker.steps_of, name))
        self._ask_files = not fresh
        config = dict(self.run.config)
        self._or_note(lambda: self._call(self.tracker.log_config, config), "parameters")
        if is_plain(self.run_dir / CONFIG):
            self._upload(self.run_dir / CONFIG)
        self.was_open, self._open, self._is_uncertain = True, True, False

    def catch_up(self, *, ended: bool = False) -> bool:
        """Send a bounded piece of each kind of new data; return whether there is more at once.

        Each kind has its turn, so that none waits for metrics which a run writes without a pause.
        """
        self.open()
        turns = [self._send_lines(file) for file in _VALUES]
        turns += [self._send_events(), self._send_pictures(all_folders=ended)]
        return any(turns)

    def say_status(self, status: str, ended: float) -> None:
        """Send the run's final status, and its end in seconds since 1970."""
        self.open()
        self._call(self.tracker.end, status, ended)

    def send_last_files(self) -> None:
        """Send the files of an ended run: its last checkpoint, artifacts, plugin files, its log."""
        self.open()
        for file in last_files(self.run_dir, checkpoint=self.tracker.takes_checkpoints):
            self._upload(file)

    def unsent(self) -> tuple[int, int]:
        """Count the points and pictures that the tracker did not confirm."""
        points = sum(count_points(self.run_dir / f, self._read.get(f, 0)) for f in _VALUES)
        return points, len(self._pictures.waiting(all_folders=True))

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self.run.is_left():
            raise Left
        found = function(*args, **kwargs)
        self.answered = time.monotonic()
        return found

    def _send_lines(self, file: str) -> bool:
        """Send a piece of the new lines of values; return whether there were more."""
        start = self._read.get(file, 0)
        lines, end = read_piece(self.run_dir / file, start, PIECE)
        points = [point for line in lines for point in read_points(line)]
        missing = points if self._held is None else self._held.missing(points)
        for some in batches(missing):
            self._send_points(some)
        self._read[file] = end
        return end - start >= PIECE

    def _send_points(self, points: Sequence[Point]) -> None:
        """Send points; if some are refused, find their metric, and leave that one out."""
        points = [point for point in points if point.name not in self._unwelcome]
        if not points:
            return
        try:
            self._call(self.tracker.log_points, points)
            self.taken += 1
        except RefusedError as error:
            self.answered = time.monotonic()
            if len(points) > 1:
                half = len(points) // 2
                self._send_points(points[:half])
                self._send_points(points[half:])
            else:
                self._unwelcome.add(points[0].name)
                self._note(f"metric {points[0].name}", error)

    def _send_events(self) -> bool:
        """Send the new lines of events.jsonl; return whether there may be more."""
        file = self.run_dir / EVENTS
        start, number = self._events
        lines, end = read_piece(file, start)
        if not lines:
            return False
        texts = (line.decode(errors="replace").strip() for line in lines)
        numbered = dict(enumerate(texts, number + 1))
        self._or_note(lambda: self._call(self.tracker.log_events, numbered), "events")
        self._upload(file)
        self._events = end, number + len(lines)
        return True

    def _send_pictures(self, *, all_folders: bool) -> bool:
        """Send new pictures, a bounded number of them; return whether there are more."""
        waiting = self._pictures.waiting(all_folders=all_folders)
        for picture in waiting[:_PICTURES]:
            self._upload(picture)
            self._pictures.mark(picture)
        return len(waiting) > _PICTURES

    def _upload(self, file: Path) -> None:
        """Send a file to its place, unless it is there, or somebody deleted it meanwhile.

        Sends none if the tracker refused one.
        """
        if self.kept is not None:
            return
        place = file.parent.relative_to(self.run_dir).as_posix().removeprefix(".")
        try:
            if self._ask_files:
                if place not in self._there:
                    self._there[place] = dict(self._call(self.tracker.sizes_in, place))
                if self._there[place].get(file.name) == file.stat().st_size:
                    return
            with opened_path(self.run_dir, file) as path:
                self._call(self.tracker.log_file, path, place)
        except RefusedError as error:
            self.kept = str(error)
        except FileNotFoundError:
            if file.exists():
                raise

    def _or_note(self, send: Callable[[], None], what: str) -> None:
        try:
            send()
        except RefusedError as error:
            self._note(what, error)

    def _note(self, what: str, error: Exception) -> None:
        text = f"{what}: {first_line(error.__cause__ or error)}"
        if text not in self.refused:
            self.refused.append(text)


def batches(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    """Divide points into those of one call each."""
    return (points[i : i + _BATCH] for i in range(0, len(points), _BATCH))


class Left(Exception):  # noqa: N818 (a state of things, told in its message)
    """Nobody waits for this call any more; another process may be about to send the same."""


def first_line(error: BaseException) -> str:
    """Return an error's name and the first line of its message."""
    lines = mask(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
