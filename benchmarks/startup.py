"""How long the commands that people type all day take to start: `python benchmarks/startup.py`.

Prints the median wall time of ten runs of each, with the plugins that are installed, in turns with
the bare start of the interpreter and the bare import of torch. `ebmcore run` is timed to its first
training step, which stands in the run's metrics with the time of day; the run has one step, so that
what is compiled for a long one isn't in it, and no monitors, which would look after that step.

With `--record` they take the place of the start-up lines of benchmarks/results/speed.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parent / "results" / "speed.jsonl"
EXAMPLE = Path(__file__).parents[1] / "examples" / "five_gaussians.yaml"
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import torch'": ["-c", "import torch"],
    "ebmcore --help": ["-m", "ebmcore", "--help"],
    "ebmcore plugins list": ["-m", "ebmcore", "plugins", "list"],
}
FIRST_STEP = "ebmcore run, to its first step"
ROUNDS = 10


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round of each command; a round before them warms the caches."""
    seconds: dict[str, list[float]] = {name: [] for name in (*COMMANDS, FIRST_STEP)}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for name, arguments in COMMANDS.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - began)
            seconds[FIRST_STEP].append(to_first_step(Path(folder), number))
    return {name: found[1:] for name, found in seconds.items()}


def to_first_step(folder: Path, number: int) -> float:
    """Return the seconds from typing `ebmcore run` to the end of the first training step.

    The runs of one folder share its database; the number is that of the run.
    """
    runs = folder / str(number)
    command = [sys.executable, "-m", "ebmcore", "run", str(EXAMPLE), "--runs-dir", str(runs)]
    overrides = ["train.epochs=null", "train.steps=1", "train.log_every=1", "monitors=[]"]
    tracking = f"tracking.uri=sqlite:///{folder}/mlflow.db"
    began = time.time()
    typed = [*command, *overrides, tracking]
    subprocess.run(typed, check=True, capture_output=True, cwd=folder)
    (metrics,) = runs.glob("*/metrics.jsonl")
    first = json.loads(metrics.read_text().splitlines()[0])
    return float(first["time"]) - began


def record(results: Path, seconds: dict[str, list[float]], load: float) -> None:
    """Put the rounds in the place of those of a file, with the machine's load before them."""
    apart = {"load": load, "plugins": len(entry_points(group="ebmcore.v1"))}
    lines = results.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["section"] != "startup"]
    for command, rounds in seconds.items():
        entry = {"section": "startup", "command": command, "rounds": rounds, **apart}
        kept.append(json.dumps(entry))
    results.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def main() -> None:
    """Measure, and print a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--record", action="store_true", help="into the results of make bench")
    given = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    load = os.getloadavg()[0]
    found = measure(ROUNDS)
    for name, rounds in found.items():
        print(f"{name:32} {median(rounds):.3f} s")
    if given.record:
        record(RESULTS, found, load)


if __name__ == "__main__":
    main()
