"""Send a run directory to MLflow, piece by piece, so that each point is there once.

The run directory is the queue. The process remembers how far it has sent; if that is uncertain (a
resumed run, a failed call that may have worked all the same), it asks MLflow which points it has.
"""

from __future__ import annotations

import json
import math
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebmcore.masking import mask
from ebmcore.runs.jsonl import Point, count_points, is_plain, read_piece, read_points
from ebmcore.runs.parent_child import parent_token
from ebmcore.trackers.mlflow.artifacts import MisplacedError
from ebmcore.trackers.mlflow.client import Remote, fit_name, is_refusal
from ebmcore.trackers.mlflow.files import Pictures, last_files, opened_path

if TYPE_CHECKING:
    from mlflow.entities import Run

_BATCH = 500  # points in one call; MLflow accepts 1000, but a busy server is slow with those
_PICTURES = 20  # pictures in one piece of work
_EVENTS = 999  # events that become tags; all of them are in events.jsonl
_EVENT_TEXT = 5000  # characters of a tag that every MLflow takes
_PARENT = 10.0  # seconds between two searches for a parent that isn't in MLflow yet
_SETTLE = 1.0  # seconds for a server to finish calls from before its outage


class Held:
    """The steps of each metric that MLflow has; asked once for each metric."""

    def __init__(self, ask: Callable[[str], Iterable[int]]) -> None:
        self.ask = ask
        self._steps: dict[str, array[int]] = {}  # sorted, eight bytes a step

    def missing(self, points: Iterable[Point]) -> list[Point]:
        """Return the points that MLflow lacks."""
        return [point for point in points if not self._has(point)]

    def _has(self, point: Point) -> bool:
        if point.name not in self._steps:
            self._steps[point.name] = array("q", sorted(self.ask(point.name)))
        steps = self._steps[point.name]
        place = bisect_left(steps, point.step)
        return place < len(steps) and steps[place] == point.step


class Sender:
    """Brings one run in MLflow up to date with its directory; every method may raise.

    After an exception call `call_failed`, wait, and call the method again.
    """

    def __init__(
        self, run_dir: Path, remote: Remote, params: Mapping[str, Any], *, live: bool
    ) -> None:
        self.run_dir = run_dir
        self.metrics_file = run_dir / "metrics.jsonl"
        self.remote = remote
        self.params = params
        self.live = live  # whether the run is still going on
        self.sent = 0  # bytes of metrics.jsonl
        self.taken = 0  # successful calls with points
        self.refused: list[str] = []  # data that MLflow will never accept
        self.kept: str | None = None  # why files stay here, if the place is foreign
        self._unwelcome: set[str] = set()  # metrics that it refused once
        self._open = False
        self._is_uncertain = False
        self._parent = parent_token(run_dir)  # not yet recorded in MLflow, as far as known
        self._seek_parent = 0.0  # the time of the next search, by time.monotonic
        self._held: Held | None = None  # None: MLflow has only data sent from here
        self._ask_files = False
        self._there: dict[str, dict[str, int]] = {}
        self._pictures = Pictures(run_dir)
        self._events = (0, 0)  # bytes of events.jsonl that were sent, lines in them

    def call_failed(self) -> None:
        """Record that a call failed, so that MLflow's contents are uncertain."""
        self._open, self._is_uncertain = False, True
        self._there = {}

    def open(self) -> Run | None:
        """Find or create the run with its parameters and its config; None if it is open already."""
        if self._open:
            return None
        before = self.remote.target.run_id
        run = self.remote.open()
        if self._is_uncertain:
            time.sleep(_SETTLE)  # it answers again: let it finish earlier calls
        if run.info.run_id != before:  # a new run has nothing yet
            self.sent, self._events = 0, (0, 0)
            self._pictures = Pictures(self.run_dir)
            self._parent = parent_token(self.run_dir)
        fresh = run.info.run_id != before and not self._is_uncertain and not run.data.params
        self._held = None if fresh else Held(self.remote.steps_of)
        self._ask_files = not fresh
        params = {k: v for k, v in self.params.items() if fit_name(k) not in run.data.params}
        self._or_note(lambda: self.remote.log_params(params), "parameters")
        if self.live and run.info.status != "RUNNING":
            self.remote.set_running()
        if is_plain(self.run_dir / "config.yaml"):
            self._upload(self.run_dir / "config.yaml")
        self._seek_parent = 0.0
        self._name_parent()
        self._open, self._is_uncertain = True, False
        return run

    def catch_up(self, *, ended: bool = False) -> bool:
        """Send a bounded piece of the new data; return whether there is more at once."""
        self.open()
        self._name_parent()
        lines, end = read_piece(self.metrics_file, self.sent)
        if lines:
            self._send_metrics(lines)
            self.sent = end
            return True
        if self._send_events():
            return True
        waiting = self._pictures.waiting(all_folders=ended)
        for picture in waiting[:_PICTURES]:
            self._upload(picture)
            self._pictures.mark(picture)
        return len(waiting) > _PICTURES

    def say_status(self, status: str, ended: float) -> None:
        """Send the run's final status, and its end in seconds since 1970."""
        self.open()
        self.remote.set_ended(status, ended)

    def send_last_files(self) -> None:
        """Send the files of an ended run: its last weights, its log, its plugin files."""
        self.open()
        self._seek_parent = 0.0
        self._name_parent()
        for file in last_files(self.run_dir):
            self._upload(file)

    def unsent(self) -> tuple[int, int]:
        """Count the points and pictures that MLflow did not confirm."""
        points = count_points(self.metrics_file, self.sent)
        return points, len(self._pictures.waiting(all_folders=True))

    def _name_parent(self) -> None:
        """Set the run's parent in MLflow, as soon as that is there."""
        now = time.monotonic()
        if self._parent is None or now < self._seek_parent:
            return
        self._seek_parent = now + _PARENT
        found = self.remote.find(self._parent)
        if found is not None:
            self.remote.set_tags({"mlflow.parentRunId": found})
            self._parent = None

    def _send_metrics(self, lines: Sequence[bytes]) -> None:
        points = [
            point._replace(name=fit_name(point.name))
            for line in lines
            for point in read_points(line)
            if not math.isinf(point.value)  # MLflow would store 1.8e308, which nobody measured
        ]
        missing = points if self._held is None else self._held.missing(points)
        for start in range(0, len(missing), _BATCH):
            self._send_points(missing[start : start + _BATCH])

    def _send_points(self, points: Sequence[Point]) -> None:
        """Send points; if MLflow refuses some, find their metric, and leave that one out."""
        points = [point for point in points if point.name not in self._unwelcome]
        if not points:
            return
        try:
            self.remote.log_points(points)
            self.taken += 1
        except Exception as error:
            if not is_refusal(error):
                raise
            self.remote.open()  # raises Gone when all is refused since the run was deleted
            if len(points) > 1:
                half = len(points) // 2
                self._send_points(points[:half])
                self._send_points(points[half:])
            else:
                self._unwelcome.add(points[0].name)
                self._note(f"metric {points[0].name}", error)

    def _send_events(self) -> bool:
        """Send the new lines of events.jsonl; return whether there may be more."""
        file = self.run_dir / "events.jsonl"
        start, number = self._events
        lines, end = read_piece(file, start)
        if not lines:
            return False
        texts = [line.decode(errors="replace").strip()[:_EVENT_TEXT] for line in lines]
        tags = {f"ebmcore.event.{number + i:03d}": text for i, text in enumerate(texts, 1)}
        shown = dict(list(tags.items())[: max(0, _EVENTS - number)])
        self._or_note(lambda: self.remote.set_tags(shown), "events")
        self._upload(file)
        self._events = end, number + len(lines)
        return True

    def _upload(self, file: Path) -> None:
        """Send a file to its place, unless MLflow has it, or somebody deleted it meanwhile.

        Sends none if MLflow keeps files at a place that isn't the user's.
        """
        if self.kept is not None:
            return
        place = file.parent.relative_to(self.run_dir).as_posix().removeprefix(".")
        try:
            if self._ask_files:
                if place not in self._there:
                    self._there[place] = self.remote.sizes_in(place)
                if self._there[place].get(file.name) == file.stat().st_size:
                    return
            with opened_path(self.run_dir, file) as path:
                self.remote.upload(path, place)
        except MisplacedError as error:
            self.kept = str(error)
        except FileNotFoundError:
            if file.exists():
                raise

    def _or_note(self, send: Callable[[], None], what: str) -> None:
        try:
            send()
        except Exception as error:
            if not is_refusal(error):
                raise
            self._note(what, error)

    def _note(self, what: str, error: Exception) -> None:
        text = f"{what}: {first_line(error)}"
        if text not in self.refused:
            self.refused.append(text)


def flatten(values: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the leaves of a config as dotted keys; a list of plain values is one leaf."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, list) and any(isinstance(value, Mapping) for value in values):
        for index, value in enumerate(values):
            yield from flatten(value, f"{prefix}.{index}")
    else:
        yield prefix, values if isinstance(values, str) else json.dumps(values, default=str)


def first_line(error: BaseException) -> str:
    """Return an error's name and the first line of its message."""
    lines = mask(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
