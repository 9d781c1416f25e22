"""Measure what data in a file cost before the first step: `python benchmarks/memory.py uint8:196`.

Each argument is the type and the size in MB of an array, and perhaps its file's format: npy, npz,
zip (a compressed .npz) or pt, as in `float32:400:pt`. The file is written to a temporary folder and
read by an `ebmcore run` of two steps with a tiny energy, without monitors and tracking. Prints how
much more memory that process takes at its peak (VmHWM) than one that reads 1,000 rows, also in
units of the data's size in the run's dtype, and the seconds until the first step has ended.

With `--workers 0 2` the rows stay in the file, `data.loader` reads them, and `ebmcore evaluate`
follows: `python benchmarks/memory.py uint8:10000 --workers 0 2`. Prints the peaks of all memory of
the process (VmHWM, pages of libraries and files too), of its own (RssAnon) and of its workers' own
(the sum of Pss_Anon), looked at ten times a second, the seconds to the tenth step, and the steps a
second after it.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
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
import atexit, threading, time
from ebmcore.cli.main import main

def read(pid, file, name):
    line = next(line for line in open(f"/proc/{pid}/{file}") if line.startswith(name))
    return int(line.split()[1]) * 1024

own = workers = 0

def look():
    global own, workers
    while True:
        own = max(own, read("self", "status", "RssAnon"))
        try:
            children = open("/proc/self/task/%d/children" % main_thread).read().split()
            workers = max(workers, sum(read(c, "smaps_rollup", "Pss_Anon") for c in children))
        except (OSError, StopIteration):  # one of them ended
            pass
        time.sleep(0.1)

main_thread = threading.main_thread().native_id
threading.Thread(target=look, daemon=True).start()

@atexit.register
def tell():
    print("PEAK", read("self", "status", "VmHWM"), own, workers)

main()
"""


class Cost(NamedTuple):
    """The memory and the time that a run takes."""

    peak: int  # bytes
    own: int  # bytes of them that are no pages of files
    workers: int  # the same of all workers
    seconds: float  # to the end of the first step that is recorded
    rate: float  # steps a second after that
    folder: Path  # of the run


def main() -> None:
    """Write each file, run on it and on a few of its rows, and print the difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="DTYPE:MB[:FORMAT]")
    parser.add_argument("--shape", default="784", help="of an event, such as 28,28")
    parser.add_argument("--holdout", default="0.1")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of the run")
    parser.add_argument("--workers", nargs="+", type=int, metavar="N", help="read by a loader")
    parser.add_argument("--steps", type=int, default=500, help="of a run with a loader")
    given = parser.parse_args()
    event = tuple(map(int, given.shape.split(",")))
    settings = [f"data.holdout={given.holdout}", f"dtype={given.dtype}"]
    for file in given.files:
        dtype, size, form = (*file.split(":"), "npy")[:3]
        rows = int(float(size) * 1e6) // (math.prod(event) * np.dtype(dtype).itemsize)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if given.workers is not None:
                path = write_file(folder, form, dtype, (rows, *event))
                for workers in given.workers:
                    show_loaded(path, folder, settings, workers, given.steps)
                continue
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


def show_loaded(path: Path, folder: Path, settings: list[str], workers: int, steps: int) -> None:
    """Run with a loader, evaluate the run, and print the costs of both."""
    loader = [*settings, f"data.loader.workers={workers}", "train.log_every=10"]
    trained = run(path, folder, [*loader, f"train.steps={steps}"])
    typed = ["evaluate", str(trained.folder), "monitors=[energies]", "-p", "tiny.py"]
    began = time.time()
    peak, own, _ = peaks(typed, folder)
    print(
        f"{path.stat().st_size / 1e9:.1f} GB, {workers} workers: "
        f"{trained.peak / 1e6:.0f} MB at its peak, {trained.own / 1e6:.0f} MB its own, "
        f"{trained.workers / 1e6:.0f} MB its workers' own; tenth step after "
        f"{trained.seconds:.1f} s, then {trained.rate:.0f} steps/s; evaluate: "
        f"{peak / 1e6:.0f} MB, {own / 1e6:.0f} MB its own, {time.time() - began:.1f} s"
    )


def write_file(folder: Path, form: str, dtype: str, shape: tuple[int, ...]) -> Path:
    """Write noise, or random bytes for a type of whole numbers: a part, turned round each time."""
    path = folder / f"{shape[0]}.npy"
    rng, type_ = np.random.default_rng(0), np.dtype(dtype)
    size = math.prod(shape[1:])
    part = (min(shape[0], max(1, AT_ONCE // (type_.itemsize * size))), size)
    noise = rng.normal(size=part) if type_.kind == "f" else rng.integers(0, 127, part)
    noise = noise.astype(type_)
    with path.open("wb") as file:
        header = {"descr": type_.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call] # NumPy's own
        for start in range(0, shape[0], part[0]):
            file.write(np.roll(noise, start // part[0])[: shape[0] - start].tobytes())
    if form == "npy":
        return path
    if form == "pt":
        torch.save(torch.from_numpy(np.load(path)), path.with_suffix(".pt"))
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
    peak, own, workers = peaks(typed, folder)
    (metrics,) = runs.glob("*/metrics.jsonl")
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    first, last = lines[0], lines[-1]
    seconds = float(last["time"]) - float(first["time"])
    rate = (last["step"] - first["step"]) / seconds if seconds else math.nan
    shutil.rmtree(folder / "last", ignore_errors=True)
    place = metrics.parent.rename(folder / "last")
    return Cost(peak, own, workers, float(first["time"]) - began, rate, place)


def peaks(typed: list[str], folder: Path) -> tuple[int, int, int]:
    """Run ebmcore in a process of its own; return its peaks of memory, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *typed], capture_output=True, text=True, cwd=folder
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    peak, own, workers = map(int, done.stdout.rpartition("PEAK ")[2].split())
    return peak, own, workers


if __name__ == "__main__":
    main()
