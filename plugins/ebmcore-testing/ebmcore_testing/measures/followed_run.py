"""A run directory, and a tracker that follows it: the calls of ebmcore, in their order and threads.

The run's thread calls `begin`, and a thread of the tracker's own makes all other calls, as
`ebmcore.trackers` does in a run.
"""

from __future__ import annotations

import base64
import copy
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, chdir, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from ebmcore import Point, RefusedError, TrackedRun

T = TypeVar("T")
METRICS = ("loss", "monitor/one", "own: a.b-c d")
CONFIG = {
    "name": "checked",
    "data": {"type": "file", "path": "dàta.csv", "transform": [{"type": "standardise"}]},
    "energy": {"type": "mlp", "hidden": [32, 32], "bias": None, "options": {}},
    "train": {"steps": 10**12, "lr": 1e-3, "resumable": True, "seeds": []},
}
_STARTED = 1_700_000_000.0
_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
_FILES = {  # those that a tracker is shown, besides the events
    "config.yaml": b"name: checked\n",
    "figures/energy/step-00000010.png": base64.b64decode(_PIXEL),
    "checkpoints/step-00000020/weights.bin": bytes(range(256)),
    "artifacts/notes.txt": b"a note\n",
    "log.txt": b"INFO begun\n",
}


def points(steps: Sequence[int], *, later: float = 0.0) -> list[Point]:
    """Return finite values of each metric at these steps, the first one 0.0."""
    return [
        Point(name, step, _STARTED + step + later, step / 7 - n)
        for step in steps
        for n, name in enumerate(METRICS)
    ]


class FollowedRun:
    """A run directory with its files, and what run.json keeps of the tracker."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.dir = folder
        config = copy.deepcopy(CONFIG)
        self.tracked = TrackedRun(dir=folder, name="checked", started=_STARTED, config=config)
        self._recorded: Mapping[str, Any] = {}
        self._stack = stack
        for name, data in _FILES.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)

    def begin(self, tracker: Any) -> Session:
        """Begin a tracker in a new process of the run: twice in the first one, for run.json."""
        if not self._recorded:
            tracker.begin(self.tracked)
            self.keep(tracker)
        tracker.begin(replace(self.tracked, recorded=self._recorded))
        session = Session(self, tracker)
        self._stack.callback(session.leave)
        return session

    def keep(self, tracker: Any) -> None:
        """Keep the record of a tracker as run.json does, beside its state."""
        record = json.loads(json.dumps(dict(tracker.record())))
        self._recorded = {**record, "state": "sending"}

    def files(self) -> dict[str, bytes]:
        """Return what the files hold that the run wrote, as far as they are there."""
        there = [name for name in _FILES if (self.dir / name).is_file()]
        return {name: (self.dir / name).read_bytes() for name in there}


class Session:
    """A tracker that has begun, in one process of a run."""

    def __init__(self, run: FollowedRun, tracker: Any) -> None:
        self.run = run
        self.tracker = tracker
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ebmcore-checked")

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in the tracker's thread."""
        return self._thread.submit(function, *arguments).result()

    def open(self) -> bool:
        """Open the tracker and show it the config; return whether it takes the run for new."""
        is_new = bool(self.call(self.tracker.open))
        self.run.keep(self.tracker)
        with suppress(RefusedError):
            self.call(self.tracker.log_config, dict(self.run.tracked.config))
        return is_new

    def send(self, values: Sequence[Point]) -> None:
        """Send values, whatever it holds."""
        self.call(self.tracker.log_points, list(values))

    def send_missing(self, values: Sequence[Point]) -> None:
        """Send those of the values that it doesn't hold."""
        held = {name: set(self.steps_of(name)) for name in METRICS}
        missing = [point for point in values if point.step not in held[point.name]]
        if missing:
            self.send(missing)

    def steps_of(self, metric: str) -> list[int]:
        """Return the steps of a metric that it holds, sorted."""
        return self.call(lambda: sorted(self.tracker.steps_of(metric)))

    def held(self) -> Counter[tuple[str, int]]:
        """Count its values of each metric and step."""
        return Counter((name, step) for name in METRICS for step in self.steps_of(name))

    def show_events(self, numbers: Sequence[int]) -> None:
        """Show it lines of events.jsonl."""
        lines = {n: json.dumps({"time": _STARTED + n, "event": "resumed"}) for n in numbers}
        with suppress(RefusedError):
            self.call(self.tracker.log_events, lines)

    def show_files(self) -> None:
        """Show it the run's files, until it refuses one; each has its path for the call alone."""
        for name in _FILES:
            file = self.run.dir / name
            with TemporaryDirectory() as beside:
                link = Path(beside) / file.name
                link.symlink_to(file)
                try:
                    self.call(self.tracker.log_file, link, folder_of(name))
                except RefusedError:
                    return

    def sizes(self) -> dict[str, int]:
        """Return name -> bytes of the run's files that it says it holds."""
        found = {f: dict(self.call(self.tracker.sizes_in, f)) for f in map(folder_of, _FILES)}
        held = {name: found[folder_of(name)].get(Path(name).name) for name in _FILES}
        return {name: size for name, size in held.items() if size is not None}

    def end(self, status: str) -> None:
        """Tell it how the run ended."""
        self.call(self.tracker.end, status, _STARTED + 1000)

    def close(self) -> None:
        """Close the tracker."""
        self.call(self.tracker.close)

    def break_off(self) -> None:
        """Close it as after a failed call, where ebmcore takes no notice of an exception."""
        with suppress(Exception):
            self.close()

    def leave(self) -> None:
        """Close it, and end its thread; a second call changes nothing."""
        with suppress(RuntimeError):  # the thread has ended before
            self.break_off()
        self._thread.shutdown()


def folder_of(name: str) -> str:
    """Return the folder of a file in the run directory, empty for the directory itself."""
    return Path(name).parent.as_posix().removeprefix(".")


@contextmanager
def runs() -> Iterator[Callable[[], FollowedRun]]:
    """Give a function that makes run directories, in a folder that is the current one meanwhile.

    Their names are new ones in all places. At the end all trackers are closed, the folder deleted.
    """
    with TemporaryDirectory() as folder, chdir(folder), ExitStack() as stack:
        parent = Path(folder).resolve() / "runs"
        yield lambda: FollowedRun(parent / f"checked-{secrets.token_hex(4)}", stack)
