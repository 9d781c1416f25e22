"""Training on several ranks of one machine, and the all-reduce of a step alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import yaml

MEETING = "the average over the ranks, and waiting for it"  # as the runner's account names it
EVERY = 20  # steps between two readings of the rate
REDUCE = """
import json, sys, time, torch, torch.distributed as dist
torch.set_num_threads(1)
dist.init_process_group("gloo")
for numbers in map(int, sys.argv[2:]):
    flat, took = torch.ones(numbers), []
    for turn in range(int(sys.argv[1])):
        dist.barrier()
        began = time.perf_counter()
        dist.all_reduce(flat)
        took.append(time.perf_counter() - began)
        flat.div_(dist.get_world_size())
    if dist.get_rank() == 0:
        print(json.dumps({"numbers": numbers, "seconds": sorted(took)[len(took) // 2]}), flush=True)
dist.destroy_process_group()
"""


def train(ranks: int, batch: int, hidden: tuple[int, int], steps: int) -> dict[str, Any]:
    """Train for so many steps in so many processes; return seconds a step, and those of meeting.

    `batch` is that of all ranks together. One rank is a plain run: nothing is exchanged.
    """
    config = {
        "name": "scaling",
        "device": "cpu",
        "threads": 1,
        "compile": False,
        "data": {"type": "gaussian_mixture", "n": 10_000, "std": 0.3, "holdout": 0.0},
        "energy": {"type": "mlp", "hidden": list(hidden), "activation": "silu"},
        "sampler": {"type": "langevin", "step_size": 0.01, "n_steps": 10},
        "chains": {"type": "persistent", "size": max(1000, 2 * batch)},
        "loss": {"type": "contrastive_divergence"},
        "optimizer": {"type": "Adam", "lr": 3e-4},
        "train": {"steps": steps + EVERY, "batch_size": batch, "log_every": EVERY},
        "tracking": "off",
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "c.yaml").write_text(yaml.safe_dump(config))
        done = _python(ranks, ["-m", "ebmcore", "run", "c.yaml", "--json"], folder)
        if done.returncode:
            return {"failed": done.stderr.strip().splitlines()[-1] if done.stderr else "no word"}
        (run,) = Path(folder).glob("runs/*")
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        rates = [line["train/steps_per_second"] for line in lines][1:]
        facts = json.loads((run / "run.json").read_text())
    met = facts["seconds_by_part"].get(MEETING, 0.0) / facts["step"]
    return {"seconds": 1 / median(rates), "meeting": met}


def reduce(ranks: int, numbers: list[int], turns: int) -> list[dict[str, Any]]:
    """Time the all-reduce of so many 32-bit numbers, the median of some turns."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "reduce.py").write_text(REDUCE)
        done = _python(ranks, ["reduce.py", str(turns), *map(str, numbers)], folder)
    if done.returncode:
        return [{"failed": done.stderr.strip().splitlines()[-1]}]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _python(ranks: int, command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return subprocess.run(
        [sys.executable, *(launcher if ranks > 1 else []), *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
