"""A run directory: resolved config, status, metrics, pictures, log. It is the truth of a run."""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ebmcore.errors import ConfigError, EbmError, Problem
from ebmcore.masking import mask, mask_all
from ebmcore.tracking.lock import RunLock

RUNS_DIR_VARIABLE = "EBMCORE_RUNS_DIR"
_RESERVE = ".reserve"
_OWN = (
    "run.json", "config.yaml", "metrics.jsonl", "events.jsonl", "log.txt", ".lock", _RESERVE,
    "checkpoints", "figures", "plugins", "evaluation", ".evaluation.part", "children", "logs",
)  # fmt: skip
_RESERVED = 64 * 1024  # bytes: more than run.json and a few lines of log need


class RunDirectory:
    """The folder of one run; every write leaves it whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = RunLock(path)  # which whoever writes the run holds
        self._lock = threading.Lock()

    @classmethod
    def create(cls, name: str, runs_dir: str | Path | None = None) -> RunDirectory:
        """Make `NAME-YYYYMMDD-HHMMSS-xxxx` in runs_dir, else EBMCORE_RUNS_DIR, else ./runs.

        The folder is locked by this process. Raises ConfigError when it can't be made.
        """
        root = runs_folder(runs_dir)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        slug = (
            "".join(c if c.isalnum() or c in "-." else "-" for c in mask(name)).strip("-.") or "run"
        )
        path = root / f"{slug}-{stamp}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
        except OSError as error:
            message = f"can't be made: {error.strerror}"
            raise ConfigError([Problem("runs-dir", message, str(path))]) from error
        directory = cls(path)
        directory.lock.acquire()
        directory.reserve()
        return directory

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Return the directory of a run that was begun. Raises EbmError when it is none."""
        directory = cls(Path(path))
        refuse_links(directory.path)
        try:
            facts = directory.read()
        except (OSError, ValueError, RecursionError) as error:
            raise EbmError(f"{path}: no run directory (no readable run.json)") from error
        if not isinstance(facts, dict):
            raise EbmError(f"{path}: run.json should hold an object")
        return directory

    def reserve(self) -> None:
        """Set a little room aside, so that even on a full disk a run can say how it ended."""
        with suppress(OSError):
            (self.path / _RESERVE).write_bytes(bytes(_RESERVED))

    def release(self) -> None:
        """Give the room that was set aside back."""
        (self.path / _RESERVE).unlink(missing_ok=True)

    def __enter__(self) -> RunDirectory:
        """Hold the directory against other processes. Raises EbmError when one has it."""
        self.lock.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        """Let it go, whoever took it."""
        self.lock.release()

    @property
    def config_file(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def metrics_file(self) -> Path:
        """One JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def events_file(self) -> Path:
        """One JSON object a line: what happened to the run besides its steps."""
        return self.path / "events.jsonl"

    @property
    def figures(self) -> Path:
        """One folder for each monitor."""
        return self.path / "figures"

    @property
    def checkpoints(self) -> Path:
        """One folder for each checkpoint, named by its step."""
        return self.path / "checkpoints"

    def write_config(self, record: Mapping[str, Any]) -> None:
        """Write the resolved config, which `ebmcore run` takes again."""
        text = yaml.safe_dump(mask_all(record), sort_keys=False, default_flow_style=None, width=100)
        _replace(self.config_file, text)

    def read_config(self) -> dict[str, Any]:
        """Return the resolved config as plain values."""
        record: dict[str, Any] = yaml.safe_load(self.config_file.read_text(encoding="utf-8"))
        return record

    def keep_plugin_files(self, files: list[str]) -> list[str]:
        """Copy local plugin files into `plugins/`; return their names, relative to the config."""
        kept: list[str] = []
        for number, file in enumerate(files):
            name = Path(file).name
            folder = "plugins" if f"plugins/{name}" not in kept else f"plugins/{number}"
            (self.path / folder).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, self.path / folder / name)
            kept.append(f"{folder}/{name}")
        return kept

    def update(self, **fields: Any) -> None:
        """Set fields of run.json; the file is replaced whole, so a reader never sees a part."""
        with self._lock:
            file = self.path / "run.json"
            facts = {**(json.loads(file.read_text()) if file.exists() else {}), **fields}
            text = json.dumps(mask_all(facts), indent=2, default=_masked) + "\n"
            try:
                _replace(file, text)
            except OSError:
                if not (self.path / _RESERVE).exists():
                    raise
                self.release()
                _replace(file, text)

    def read(self) -> dict[str, Any]:
        """Return what run.json says."""
        facts: dict[str, Any] = json.loads((self.path / "run.json").read_text())
        return facts

    def append_metrics(self, step: int, epoch: float, metrics: Mapping[str, float]) -> None:
        """Add one line of metrics; what isn't finite is written as the text nan, inf or -inf."""
        line = {"step": step, "epoch": round(epoch, 6), "time": round(time.time(), 3)}
        values = {k: v if math.isfinite(v) else str(v) for k, v in metrics.items()}
        self._append(self.metrics_file, {**line, **values})

    def append_event(self, step: int, event: str, **facts: Any) -> None:
        """Add one line to events.jsonl: what happened to the run beside its steps."""
        self._append(
            self.events_file,
            {"step": step, "time": round(time.time(), 3), "event": event, **mask_all(facts)},
        )

    def sync_metrics(self) -> None:
        """See to it that the lines written so far outlive a loss of power."""
        if self.metrics_file.exists():
            to_disk(self.metrics_file)

    def rewind_metrics(self, step: int) -> list[tuple[int, dict[str, float]]]:
        """Cut metrics.jsonl off after a step, where a resumed run goes on; return what is left.

        A last line that was torn, since the process died while it was written, goes too. Raises
        EbmError when a line before it can't be read.
        """
        kept: list[tuple[int, dict[str, float]]] = []
        if not self.metrics_file.exists():
            return kept
        end = 0
        with self.metrics_file.open("rb+") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    at, _, values = read_metrics(line.decode())
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    place = f"{self.metrics_file}:{number}"
                    raise EbmError(f"{place}: no line of metrics: {error!r}") from error
                if at > step:
                    break
                kept.append((at, values))
                end += len(line)
            file.truncate(end)
        return kept

    def end_events(self) -> None:
        """End a last line of events.jsonl that was torn, so that the next one is whole."""
        if self.events_file.exists() and self.events_file.stat().st_size:
            with self.events_file.open("rb+") as file:
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":
                    file.write(b"\n")

    def _append(self, file: Path, line: Mapping[str, Any]) -> None:
        try:
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
        except OSError as error:
            raise EbmError(f"{file}: can't be written: {error.strerror or error}") from error

    def log(self, level: str, text: str) -> None:
        """Add an entry to log.txt."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        file_ = self.path / "log.txt"
        with (
            self._lock,
            suppress(OSError),
            file_.open(  # a full disk: what failed is raised, too
                "a", encoding="utf-8", errors="backslashreplace"
            ) as file,
        ):
            file.write(f"{stamp} {level} {mask(text).rstrip()}\n")


def runs_folder(runs_dir: str | Path | None = None) -> Path:
    """Return the folder of the runs: runs_dir, else EBMCORE_RUNS_DIR, else ./runs."""
    return Path(runs_dir or os.environ.get(RUNS_DIR_VARIABLE) or "runs")


def refuse_links(run_dir: Path) -> None:
    """Raise EbmError when what a run reads and writes is a link to a place outside it."""
    for name in _OWN:
        if (run_dir / name).is_symlink():
            raise EbmError(f"{run_dir / name}: is a link to another place; a run's own is plain")


def read_metrics(line: str) -> tuple[int, float, dict[str, float]]:
    """Read one line of metrics.jsonl: the step, the time, the metrics."""
    fields = json.loads(line)
    step, stamp = fields.pop("step"), fields.pop("time")
    del fields["epoch"]
    return step, stamp, {name: float(value) for name, value in fields.items()}


def to_disk(path: Path) -> None:
    """Wait until the disk has a file, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _masked(value: object) -> str:
    return mask(str(value))


def _replace(file: Path, text: str) -> None:
    beside = file.with_name(file.name + ".part")
    beside.unlink(missing_ok=True)
    with beside.open("x", encoding="utf-8") as opened:  # "x" follows no link to another place
        opened.write(text)
    to_disk(beside)
    beside.replace(file)
