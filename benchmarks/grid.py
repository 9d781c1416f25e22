"""Many jobs, a few at a time, each in a process of its own; what is done is not run again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from ebmcore.config import apply_overrides, parse_assignments, read_config

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results"
NONE = "not measured"
UNSEEN = ("name", "tracking", "monitors")  # sections that change no weight


class Job(NamedTuple):
    """One training run of a table."""

    row: str
    column: str
    seed: int
    config: str  # relative to the repository
    overrides: tuple[str, ...] = ()
    pictures: str = ""  # where the last ones go, below `results`; empty keeps none


@cache
def key(job: Job) -> str:
    """Identify the run by its config with the overrides in it: equal runs have equal keys."""
    overrides = parse_assignments([*job.overrides, f"seed={job.seed}"])
    tree = dict(apply_overrides(read_config(ROOT / job.config), overrides).tree)
    tree = {section: tree[section] for section in sorted(tree) if section not in UNSEEN}
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def read_results(results: Path) -> dict[str, dict[str, Any]]:
    """Read a file of JSON lines: the entry of each key."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return {entry["key"]: entry for entry in map(json.loads, lines)}


def run_all(
    jobs: Sequence[Job],
    results: Path,
    workers: int,
    only: Sequence[str] = (),
    *,
    again: bool = False,
) -> None:
    """Run what `results` lacks, and write it after each run; `only` names the rows to run.

    An entry whose config or overrides are no longer those of a job is dropped. With `again`, those
    that an earlier version of the code trained are trained again.
    """
    results.parent.mkdir(exist_ok=True)
    known, keys = read_results(results), list(dict.fromkeys(map(key, jobs)))
    missing: dict[str, Job] = {}
    for job in jobs:
        entry = known.get(key(job), {})
        done = entry.get("status") == "FINISHED" and not (again and entry.get("earlier"))
        if not done and (not only or job.row in only):
            missing.setdefault(key(job), job)
    with ThreadPoolExecutor(workers) as pool:
        for running in as_completed([pool.submit(_run, job) for job in missing.values()]):
            entry = running.result()
            if known.get(entry["key"], {}).get("earlier"):
                entry["before"] = known[entry["key"]]["metrics"]
            known[entry["key"]] = entry
            text = "".join(json.dumps(known[k]) + "\n" for k in keys if k in known)
            partial = results.with_suffix(".partial")
            partial.write_text(text, encoding="utf-8")
            partial.replace(results)
            done = f"{entry['row']} {entry['column']} seed {entry['seed']}: {entry['status']}"
            print(done, f"in {entry.get('seconds', 0):.0f} s", file=sys.stderr, flush=True)


def _run(job: Job) -> dict[str, Any]:
    command = [sys.executable, HERE / "job.py", ROOT / job.config, f"seed={job.seed}"]
    if job.pictures:
        command += ["--pictures", RESULTS / job.pictures]
    done = subprocess.run(
        [*map(str, command), *job.overrides],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    entry = {"key": key(job), **job._asdict()}
    del entry["pictures"]
    if done.returncode:
        return {**entry, "status": "FAILED", "error": done.stderr.strip().splitlines()[-1]}
    found = done.stdout.splitlines()[-1].replace(f"{ROOT}/", "")  # warnings name files
    return {**entry, **json.loads(found)}


class Spread(NamedTuple):
    """A median over seeds, and the lowest and the highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Summarise; None when there is nothing."""
        values = sorted(values)
        return cls(median(values), values[0], values[-1]) if values else None

    def text(self, places: int = 3) -> str:
        """Write the median and, in brackets, the lowest and the highest."""
        middle, low, high = (f"{value:.{places}f}" for value in self)
        return f"{middle} ({low} to {high})"


class Found:
    """The entries of a file of results, by job."""

    def __init__(self, name: str) -> None:
        self.entries = read_results(RESULTS / name)

    def finished(self, jobs: Iterable[Job]) -> list[dict[str, Any]]:
        """Return the entries of those jobs that are done."""
        entries = [self.entries.get(key(job), {}) for job in jobs]
        return [entry for entry in entries if entry.get("status") == "FINISHED"]

    def mark(self, jobs: Iterable[Job]) -> str:
        """Return the sign of a row with runs that an earlier version of the code trained."""
        return " †" if any(entry.get("earlier") for entry in self.finished(jobs)) else ""

    def again(self, metric: str) -> tuple[int, float]:
        """Count the runs that were trained again; return the largest change of a metric, too."""
        pairs = [(e["metrics"], e["before"]) for e in self.entries.values() if "before" in e]
        changes = [abs(now[metric] - before[metric]) for now, before in pairs]
        return len(changes), max(changes, default=0.0)

    def cell(self, metric: str, jobs: Sequence[Job]) -> str:
        """Write a cell of a table: the spread, or the values of the seeds that are done."""
        spread = self.spread(metric, jobs)
        if spread is not None:
            return spread.text()
        values = [f"{entry['metrics'][metric]:.3f}" for entry in self.finished(jobs)]
        return f"{', '.join(values)} ({len(values)} of {len(jobs)} seeds)" if values else NONE

    def figure(self, metric: str, jobs: Sequence[Job]) -> str:
        """Write the median for running text; before all are done, the values and their number."""
        spread = self.spread(metric, jobs)
        return self.cell(metric, jobs) if spread is None else f"{spread.middle:.3f}"

    def spread(self, metric: str, jobs: Sequence[Job]) -> Spread | None:
        """Summarise a metric over jobs that differ by their seed; None before all are done."""
        done = self.finished(jobs)
        if len(done) < len(jobs):
            return None
        return Spread.of(entry["metrics"][metric] for entry in done)
