"""A run directory: resolved config, status, metrics, figures, log: the only record of a run."""

from __future__ import annotations

import json
import math
import os
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ebmcore.errors import ConfigError, DirectoryError, EbmError, Problem
from ebmcore.masking import mask, mask_all
from ebmcore.runs.clock import Clock
from ebmcore.runs.layout import (
    CHECKPOINTS,
    CONFIG,
    EVENTS,
    FIGURES,
    FILES,
    FOLDERS,
    LARGEST_CONFIG,
    LARGEST_LINE,
    LOCK,
    LOG,
    METRICS,
    PLUGINS,
    RUN_JSON,
)
from ebmcore.runs.lock import RunLock
from ebmcore.runs.run_json import give_back, read_run_json, reserve, write_run_json
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.terminal import clean

if TYPE_CHECKING:
    from ebmcore.config import Source

RUNS_DIR_VARIABLE = "EBMCORE_RUNS_DIR"


class RunDirectory:
    """The folder of one run; every write leaves it whole, and follows no link below it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = SafeFiles(path)
        self.lock = RunLock(path, self.files)  # held by the process that writes the run
        self.clock = Clock()  # gives all recorded times
        self._lock = threading.Lock()
        self._begun = False  # whether there was a run.json

    @classmethod
    def create(cls, name: str, runs_dir: str | Path | None = None) -> RunDirectory:
        """Make `NAME-YYYYMMDD-HHMMSS-xxxx` in runs_dir, else EBMCORE_RUNS_DIR, else ./runs.

        This process locks the folder. Raises ConfigError when it can't be made.
        """
        root = runs_folder(runs_dir)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        slug = (
            "".join(c if c.isalnum() or c in "-." else "-" for c in mask(name)).strip("-.") or "run"
        )
        directory = cls(_make_folder(root, f"{slug}-{stamp}"))
        directory.lock.acquire()
        directory.reserve()
        return directory

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Return the directory of an existing run.

        Raises EbmError when it isn't one, or when one of a run's files is a link or no plain file.
        """
        directory = cls(Path(path))
        try:
            check_plain(directory.path, below=True)
            directory.clock.not_before(directory.read().get("started"))
        except (OSError, ValueError) as error:
            raise EbmError(f"{path}: no run directory (no readable run.json)") from error
        return directory

    def reserve(self) -> None:
        """Reserve a little room, so that a run can record its end even on a full disk."""
        with suppress(OSError):
            reserve(self.files)

    def release(self) -> None:
        """Release the reserved room."""
        give_back(self.files)

    def follow(self) -> None:
        """Follow a directory that somebody moved, to record there how the run ended."""
        self.files.follow()

    def __enter__(self) -> RunDirectory:
        """Lock the directory. Raises EbmError when another process holds the lock."""
        self.lock.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        """Release the lock, also one that `create` took."""
        self.lock.release()

    @property
    def config_file(self) -> Path:
        """The resolved config."""
        return self.path / CONFIG

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line."""
        return self.path / METRICS

    @property
    def events_file(self) -> Path:
        """One JSON object a line: the run's events besides its steps."""
        return self.path / EVENTS

    @property
    def figures(self) -> Path:
        """One folder for each monitor."""
        return self.path / FIGURES

    @property
    def checkpoints(self) -> Path:
        """One folder for each checkpoint, named by its step."""
        return self.path / CHECKPOINTS

    def write_config(self, record: Mapping[str, Any]) -> None:
        """Write the resolved config, which `ebmcore run` takes again."""
        text = yaml.safe_dump(mask_all(record), sort_keys=False, default_flow_style=None, width=100)
        if len(data := text.encode()) > LARGEST_CONFIG:
            raise EbmError(
                f"{self.config_file}: would have {len(data)} bytes, and {LARGEST_CONFIG} are read "
                "again; move what is large to a file that a part reads"
            )
        self.write(CONFIG, data, sync=True)

    def read_config(self) -> dict[str, Any]:
        """Return the resolved config as plain values; raises as `read_recorded` does."""
        return read_recorded(self.path).tree

    def write(self, name: str, data: bytes, *, sync: bool = False) -> Path:
        """Write a file of the run whole, such as `figures/MONITOR/step-N.png`; return its path.

        With `sync` it is on the disk then. Raises EbmError when it can't be written.
        """
        try:
            self.files.replace(name, data, sync=sync)
        except OSError as error:
            raise _unwritable(self.path / name, error) from error
        return self.path / name

    def keep_plugin_files(self, files: list[str]) -> list[str]:
        """Copy local plugin files into `plugins/`; return their names, relative to the config."""
        kept: list[str] = []
        for number, file in enumerate(files):
            name = f"{PLUGINS}/{Path(file).name}"
            if name in kept:
                name = f"{PLUGINS}/{number}/{Path(file).name}"
            self.write(name, Path(file).read_bytes())
            kept.append(name)
        return kept

    def update(self, **fields: Any) -> None:
        """Set fields of run.json; the file is replaced whole, so a reader never sees a part.

        No run ends before it `started`. Raises DirectoryError when run.json is gone.
        """
        with self._lock:
            try:
                facts = {**self.read(), **fields}
            except FileNotFoundError as error:
                if self._begun:
                    text = "was removed while the run went on"
                    raise DirectoryError(self.path / RUN_JSON, text) from error
                facts = fields
            except ValueError as error:
                text = "was changed while the run went on, and is no JSON object"
                raise DirectoryError(self.path / RUN_JSON, text) from error
            if isinstance(fields.get("ended"), float) and isinstance(facts.get("started"), float):
                facts["ended"] = max(facts["started"], fields["ended"])
            write_run_json(self.files, facts)
            self._begun = True

    def read(self) -> dict[str, Any]:
        """Return the contents of run.json; raises as `read_run_json` does."""
        facts = read_run_json(self.files)
        self._begun = True
        return facts

    def append_metrics(self, step: int, epoch: float, metrics: Mapping[str, float]) -> None:
        """Add one line of metrics, with the text nan, inf or -inf for values that aren't finite."""
        line = {"step": step, "epoch": round(epoch, 6), "time": round(self.clock(), 3)}
        values = {k: v if math.isfinite(v) else str(v) for k, v in metrics.items()}
        self._append(METRICS, {**line, **values})

    def append_event(self, step: int, event: str, **facts: Any) -> None:
        """Add one line to events.jsonl: an event of the run besides its steps."""
        stamp = round(self.clock(), 3)
        self._append(EVENTS, {"step": step, "time": stamp, "event": event, **mask_all(facts)})

    def sync_metrics(self) -> None:
        """Sync the lines written so far to the disk."""
        with suppress(FileNotFoundError), self.files.open(METRICS) as file:
            os.fsync(file.fileno())

    def rewind_metrics(self, step: int) -> list[tuple[int, dict[str, float]]]:
        """Cut metrics.jsonl off after a step, where a resumed run goes on; return the rest.

        Removes a torn last line, too, which a dying process leaves. Raises EbmError when an
        earlier line can't be read.
        """
        kept: list[tuple[int, dict[str, float]]] = []
        end, number = 0, 0
        with suppress(FileNotFoundError), self.files.open_to_change(METRICS) as file:
            while line := file.readline(LARGEST_LINE):
                number += 1
                if not line.endswith(b"\n") and len(line) < LARGEST_LINE:
                    break
                try:
                    at, stamp, values = read_metrics(line.decode())
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                    place = f"{self.metrics_file}:{number}"
                    raise EbmError(f"{place}: no line of metrics: {error!r:.300}") from error
                if at > step:
                    break
                kept.append((at, values))
                self.clock.not_before(stamp)
                end += len(line)
            file.truncate(end)
        return kept

    def end_events(self) -> None:
        """End a torn last line of events.jsonl, so that the next one is whole."""
        with suppress(FileNotFoundError), self.files.open_to_change(EVENTS) as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":
                    file.write(b"\n")

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        try:
            self.files.append(name, (json.dumps(line) + "\n").encode())
        except OSError as error:
            raise _unwritable(self.path / name, error) from error

    def log(self, level: str, text: str) -> None:
        """Add an entry to log.txt, if possible; the caller raises the failure itself.

        Spells out control characters, since people print the file in a terminal.
        """
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        entry = f"{stamp} {level} {clean(mask(text).rstrip())}\n".encode()
        with self._lock, suppress(OSError, DirectoryError):
            self.files.append(LOG, entry, anew=True)


def runs_folder(runs_dir: str | Path | None = None) -> Path:
    """Return the folder of the runs: runs_dir, else EBMCORE_RUNS_DIR, else ./runs."""
    return Path(runs_dir or os.environ.get(RUNS_DIR_VARIABLE) or "runs")


def _make_folder(root: Path, stem: str) -> Path:
    """Make a new folder of this stem in root, and return it.

    Several runs of one second may draw the same four digits, so another name is tried then.
    """
    for digits in (2, 2, 2, 8):
        path = root / f"{stem}-{secrets.token_hex(digits)}"
        try:
            path.mkdir(parents=True)
        except OSError as error:
            failure = error
            if not isinstance(error, FileExistsError):
                break
        else:
            return path
    problem = Problem("runs-dir", f"can't be made: {failure.strerror}", str(path))
    raise ConfigError([problem]) from failure


def check_plain(run_dir: Path, *, below: bool = False) -> None:
    """Raise DirectoryError when a path that a run reads or writes is no plain file or folder.

    With `below`, for a process that writes there, also refuses a link anywhere in its folders.
    """
    SafeFiles(run_dir).check(FILES, (*FOLDERS, LOCK), below=below)


def read_recorded(run_dir: Path) -> Source:
    """Read the config in a run directory, which somebody else may have written.

    Raises ConfigError when it is missing or invalid; DirectoryError when it is no plain file.
    """
    from ebmcore.config import parse_config

    file = run_dir / CONFIG
    try:
        return parse_config(SafeFiles(run_dir).read(CONFIG, LARGEST_CONFIG).decode(), str(file))
    except FileNotFoundError:
        raise ConfigError([Problem("", "no such config file", str(file))]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem("", f"can't be read: {error}", str(file))]) from None


def read_metrics(line: str) -> tuple[int, float, dict[str, float]]:
    """Read one line of metrics.jsonl: the step, the time, the metrics."""
    fields = json.loads(line)
    step, stamp = fields.pop("step"), fields.pop("time")
    del fields["epoch"]
    return step, stamp, {name: float(value) for name, value in fields.items()}


def _unwritable(file: Path, error: OSError) -> EbmError:
    return EbmError(f"{file}: can't be written: {error.strerror or error}")
