"""Speed, ours and our peers', in one interleaved run: `make bench`, or this file alone.

Writes each measurement to benchmarks/results/speed.jsonl as it is taken, and then the table and the
plot from that file. A peer that isn't installed is told as such, and its rows say so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import report
from speed.sections import QUICK, SECTIONS, Effort
from speed.work import WORKS

RESULTS = Path(__file__).parent / "results" / "speed.jsonl"
PACKAGES = ("ebmcore", "torch", "torchebm", "jax", "optax", "numpy", "mlflow")


def facts(effort: Effort) -> dict[str, Any]:
    """Return what the numbers depend on: the versions and the kind of machine."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "versions": versions,
        "architecture": platform.machine(),
        "instructions": _instructions(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],  # of the minute before
        **effort._asdict(),
    }


def _instructions() -> str:
    """Return the vector instructions that torch's kernels use here, such as AVX2."""
    asked = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Measure the sections that are asked for, and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the main rows alone, fewer rounds")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), help="these sections alone")
    parser.add_argument("--works", nargs="+", choices=list(WORKS), help="these sizes alone")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps of each block")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of measurements")
    given = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    effort = Effort(given.quick, given.scale, given.works)
    given.results.parent.mkdir(parents=True, exist_ok=True)
    told: set[str] = set()
    with given.results.open("w", encoding="utf-8") as file:

        def record(section: str, **found: Any) -> None:
            file.write(json.dumps({"section": section, **found}) + "\n")
            file.flush()
            trouble = found.get("absent") or found.get("failed")
            if trouble and trouble not in told:
                told.add(trouble)
                print(f"{found.get('side', section)}: {trouble}", file=sys.stderr, flush=True)

        record("facts", **facts(effort))
        began = time.perf_counter()
        for name in given.only or (QUICK if given.quick else SECTIONS):
            entered = time.perf_counter()
            SECTIONS[name](record, effort)
            took = time.perf_counter() - entered
            record("took", name=name, seconds=took)
            print(f"{name}: {took:.0f} s", file=sys.stderr, flush=True)
        print(f"in all {time.perf_counter() - began:.0f} s", file=sys.stderr)
    print(report.write(given.results))


if __name__ == "__main__":
    main()
