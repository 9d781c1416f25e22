"""Many jobs, a few at a time, each in a process of its own; what is done is not run again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results"


class Job(NamedTuple):
    """One training run of a table."""

    row: str
    column: str
    seed: int
    config: str  # relative to the repository
    overrides: tuple[str, ...] = ()
    pictures: str = ""  # where the last ones go, below `results`; empty keeps none


def run_all(jobs: Sequence[Job], results: Path, workers: int) -> list[dict[str, Any]]:
    """Run what `results`, a file of JSON lines, lacks; return one entry a job.

    An entry is the job's only while its config and overrides are what they were.
    """
    results.parent.mkdir(exist_ok=True)
    known = {}
    if results.exists():
        entries = map(json.loads, results.read_text().splitlines())
        known = {entry["key"]: entry for entry in entries if entry["status"] == "FINISHED"}
    missing = [job for job in jobs if _key(job) not in known]
    with ThreadPoolExecutor(workers) as pool:
        for entry in pool.map(_run, missing):
            known[entry["key"]] = entry
            text = (json.dumps(known[_key(job)]) + "\n" for job in jobs if _key(job) in known)
            results.write_text("".join(text))
            done = f"{entry['row']} {entry['column']} seed {entry['seed']}: {entry['status']}"
            print(done, f"in {entry.get('seconds', 0):.0f} s", file=sys.stderr, flush=True)
    return [known[_key(job)] for job in jobs]


def _key(job: Job) -> str:
    text = (ROOT / job.config).read_text()
    return hashlib.sha256(repr((tuple(job), text)).encode()).hexdigest()[:16]


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
    entry = {"key": _key(job), "row": job.row, "column": job.column, "seed": job.seed}
    if done.returncode:
        return {**entry, "status": "FAILED", "error": done.stderr.strip().splitlines()[-1]}
    return {**entry, **json.loads(done.stdout.splitlines()[-1])}


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


def write_table(page: Path, lines: Sequence[str]) -> None:
    """Put a table into a page, between its two marks."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split("<!-- table -->\n", 1)
    _, after = rest.split("<!-- end of table -->", 1)
    table = "\n".join(lines)
    page.write_text(
        f"{before}<!-- table -->\n{table}\n<!-- end of table -->{after}", encoding="utf-8"
    )
