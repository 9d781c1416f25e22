"""One training run, its gradients counted: `python benchmarks/job.py CONFIG [KEY=VALUE …]`.

With `--pictures FOLDER` the last picture of each monitor is kept there, as MONITOR.png.

Prints one JSON document: the last metrics, the seconds from the first step to the last, monitors
left out, the seconds of CPU that the run took in all, and how often a gradient of the energies of
a batch was taken, by the sampler, the loss or the optimiser's backward. One thread, so that two
jobs can share a machine with two cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import ebmcore
from ebmcore.config import parse_assignments


class Counting:
    """Autograd's engine, whose backward passes are counted."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.passes = 0

    def run_backward(self, *arguments: Any, **options: Any) -> Any:
        """Count, and run it."""
        self.passes += 1
        return self.engine.run_backward(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


def run(config: str, overrides: dict[str, Any], pictures: Path | None) -> dict[str, Any]:
    """Train, and return what was measured."""
    torch.set_num_threads(1)
    engine = Counting(torch.autograd.Variable._execution_engine)
    torch.autograd.Variable._execution_engine = engine  # type: ignore[assignment]
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        done = ebmcore.run(
            config,
            {"compile": False, **overrides, "tracking": "off"},  # compiled gradients aren't counted
            runs_dir=folder,
            progress=False,
        )
        facts = json.loads((done.dir / "run.json").read_text())
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            for monitor in (done.dir / "figures").iterdir():
                shutil.copyfile(max(monitor.glob("*.png")), pictures / f"{monitor.name}.png")
    return {
        "status": done.status,
        "steps": done.step,
        "seconds": facts["seconds"] - sum(facts["seconds_by_monitor"].values()),
        "cpu_seconds": time.process_time() - began,
        "gradients": engine.passes,
        "metrics": done.metrics,
        "warnings": done.warnings,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_intermixed_args()
    print(json.dumps(run(given.config, parse_assignments(given.overrides), given.pictures)))
