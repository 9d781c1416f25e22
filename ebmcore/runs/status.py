"""The status that a run directory records, read without trusting or writing anything in it."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ebmcore.errors import DirectoryError
from ebmcore.runs.jsonl import as_number, read_object
from ebmcore.runs.layout import LOCK, METRICS, WRITTEN
from ebmcore.runs.lock import is_held
from ebmcore.runs.run_json import read_run_json
from ebmcore.runs.safe_files import SafeFiles

STATUSES = ("RUNNING", "FINISHED", "FAILED", "KILLED")
STATES = ("sending", "complete", "behind")
_TAIL = 64 * 1024  # bytes at the end of metrics.jsonl with the last values


class Account(NamedTuple):
    """One run, as its directory describes it."""

    path: Path
    facts: dict[str, Any]  # run.json, whose values may be any JSON
    problem: str | None = None  # why the directory can't be read
    recorded: str | None = None  # the status in run.json
    process_gone: bool = False  # recorded as RUNNING, and no process holds its lock
    step: int | None = None
    steps: int | None = None  # the planned number
    started: float | None = None  # seconds since 1970
    last_seen: float | None = None  # the time of its end, or of its last line
    took: float | None = None  # seconds that it ran, by a monotonic clock; once it ended
    loss: float | None = None  # the last value
    mlflow: str | None = None  # sending, complete, behind; None if MLflow never got it

    @property
    def status(self) -> str:
        """The run's status; KILLED if its process is gone."""
        if self.problem is not None or self.recorded is None:
            return "BROKEN"
        return "KILLED" if self.process_gone else self.recorded

    @property
    def seconds(self) -> float | None:
        """The seconds that it took, or has been running."""
        if self.took is not None and not self.process_gone:
            return self.took
        if self.started is None:
            return None
        end = time.time() if self.status == "RUNNING" else self.last_seen
        return None if end is None else max(0.0, end - self.started)

    def document(self) -> dict[str, Any]:
        """Return it as JSON types."""
        found: dict[str, Any] = {
            "run_dir": str(self.path),
            "name": _text(self.facts.get("name")),
            "status": self.status,
            "recorded_status": self.recorded,
            "process_gone": self.process_gone,
            "step": self.step,
            "steps": self.steps,
            "started": self.started,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "loss": self.loss,
            "mlflow": self.mlflow,
        }
        return found if self.problem is None else {**found, "problem": self.problem}


def read_account(path: str | Path) -> Account:
    """Read a run directory; `problem` gives the reason if it can't be read."""
    folder = Path(path)
    files = SafeFiles(folder)
    try:
        files.check(WRITTEN, (LOCK,))
        facts, last = read_run_json(files), _last_lines(files)
    except FileNotFoundError:
        return Account(folder, {}, "there is no run.json")
    except DirectoryError as error:
        return Account(folder, {}, f"{error.file.name} {error.text}")
    except (OSError, ValueError) as error:
        return Account(folder, {}, str(error))
    recorded = facts.get("status")
    if recorded not in STATUSES:
        return Account(folder, facts, f"run.json: status should be one of {', '.join(STATUSES)}")
    gone = recorded == "RUNNING" and not is_held(folder)
    if gone:  # it may have ended between the two checks
        with suppress(OSError, ValueError, DirectoryError):
            facts = read_run_json(files)
        recorded = facts.get("status")
        gone = recorded == "RUNNING"
    mlflow = facts.get("mlflow")
    state = mlflow.get("state") if isinstance(mlflow, dict) else None
    metrics = facts.get("metrics")
    loss = last.get("loss", metrics.get("loss") if isinstance(metrics, dict) else None)
    return Account(
        folder,
        facts,
        recorded=recorded,
        process_gone=gone,
        step=_whole(last.get("step")) or _whole(facts.get("step")),
        steps=_whole(facts.get("steps")),
        started=_seconds(facts.get("started")),
        last_seen=_seconds(facts.get("ended")) or _seconds(last.get("time")),
        took=None if recorded == "RUNNING" else _seconds(facts.get("seconds")),
        loss=as_number(loss),
        mlflow=state if state in STATES else None,
    )


def _last_lines(files: SafeFiles) -> dict[str, Any]:
    """Return the last values at the end of metrics.jsonl."""
    found: dict[str, Any] = {}
    with suppress(FileNotFoundError), files.open(METRICS) as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - _TAIL))
        for line in opened.read(_TAIL).splitlines(keepends=True):
            if line.endswith(b"\n"):
                found |= read_object(line) or {}
    return found


def _whole(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return value if whole else None


def _seconds(value: Any) -> float | None:
    number = as_number(value)
    return number if number is not None and math.isfinite(number) and 0 <= number < 1e11 else None


def _text(value: Any) -> str | None:
    return value[:500] if isinstance(value, str) else None
