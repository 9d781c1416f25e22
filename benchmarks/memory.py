"""Measure what data in a file cost before the first step: `python benchmarks/memory.py uint8:196`.

Each argument is the type and the size in MB of an array, and perhaps its file's format: npy, npz,
zip (a compressed .npz) or pt, as in `float32:400:pt`. The file is written to a temporary folder and
read by an `ebmcore run` of two steps with a tiny energy, without monitors and tracking. Prints how
much more memory that process takes at its peak (VmHWM) than one that reads 1,000 rows, also in
units of the data's size in the run's dtype, and the seconds until the first step has ended.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

FEW = 1000  # rows
AT_ONCE = 20_000_000  # bytes
DTYPES = {"float32": 4, "float64": 8}  # bytes of a number in a run
LOCAL_ENERGY = """
import ebmcore, torch

@ebmcore.energy
class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.width = torch.nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.width * x.flatten(1).square().mean(1)
"""
RUN = """
import atexit
from ebmcore.cli.main import main

@atexit.register
def tell():
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print("PEAK", int(peak.split()[1]) * 1024)

main()
"""


class Cost(NamedTuple):
    """The memory and the time that a run takes."""

    peak: int  # bytes
    seconds: float  # to the end of the first step


def main() -> None:
    """Write each file, run on it and on a few of its rows, and print the difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="DTYPE:MB[:FORMAT]")
    parser.add_argument("--shape", default="784", help="of an event, such as 28,28")
    parser.add_argument("--holdout", default="0.1")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of the run")
    given = parser.parse_args()
    event = tuple(map(int, given.shape.split(",")))
    settings = [f"data.holdout={given.holdout}", f"dtype={given.dtype}"]
    for file in given.files:
        dtype, size, form = (*file.split(":"), "npy")[:3]
        rows = int(float(size) * 1e6) // (math.prod(event) * np.dtype(dtype).itemsize)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            few, all_ = (
                run(write_file(folder, form, dtype, (n, *event)), folder, settings)
                for n in (FEW, rows)
            )
        more = all_.peak - few.peak
        in_run = rows * math.prod(event) * DTYPES[given.dtype]
        print(
            f"{file}: {more / 1e6:.0f} MB more at its peak, {more / in_run:.2f} times the "
            f"{in_run / 1e6:.0f} MB in {given.dtype}; first step after {all_.seconds:.1f} s, "
            f"with {FEW} rows {few.seconds:.1f} s"
        )


def write_file(folder: Path, form: str, dtype: str, shape: tuple[int, ...]) -> Path:
    """Write noise, or random bytes for a type of whole numbers, part by part."""
    rng = np.random.default_rng(0)
    path = folder / f"{shape[0]}.npy"
    file = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)  # type: ignore[no-untyped-call] # NumPy's own
    at_once = max(1, AT_ONCE // (8 * math.prod(shape[1:])))
    for start in range(0, len(file), at_once):
        part = file[start : start + at_once]
        part[:] = (
            rng.normal(size=part.shape)
            if part.dtype.kind == "f"
            else rng.integers(0, 127, part.shape)
        )
    file.flush()
    if form == "npy":
        return path
    if form == "pt":
        torch.save(torch.from_numpy(file), path.with_suffix(".pt"))
    else:
        packed = {"npz": zipfile.ZIP_STORED, "zip": zipfile.ZIP_DEFLATED}[form]
        with zipfile.ZipFile(path.with_suffix(".npz"), "w", packed, compresslevel=1) as archive:
            archive.write(path, "x.npy")
    path.unlink()
    return path.with_suffix(".pt" if form == "pt" else ".npz")


def run(file: Path, folder: Path, settings: list[str]) -> Cost:
    """Run two steps on a file in a process of its own."""
    (folder / "tiny.py").write_text(LOCAL_ENERGY)
    (folder / "run.yaml").write_text(
        json.dumps(
            {
                "data": {"type": "file", "path": str(file)},
                "energy": "Tiny",
                "loss": {"type": "denoising_score_matching", "sigma": 0.1},
                "optimizer": {"type": "Adam", "lr": 1e-3},
                "train": {"steps": 2, "batch_size": 100, "log_every": 1},
                "tracking": False,
            }
        )
    )
    runs = folder / f"runs_{file.stem}"
    typed = ["run", "run.yaml", "-p", "tiny.py", "--runs-dir", str(runs), *settings]
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", RUN, *typed], capture_output=True, text=True, cwd=folder
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    (metrics,) = runs.glob("*/metrics.jsonl")
    first = json.loads(metrics.read_text().splitlines()[0])
    peak = int(done.stdout.rpartition("PEAK ")[2])
    return Cost(peak, float(first["time"]) - began)


if __name__ == "__main__":
    main()
