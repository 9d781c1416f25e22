"""ebmcore on a GPU, in one command and under 8 minutes: `python benchmarks/gpu.py`.

Needs Python 3.11 or later, torch 2.11 or later, NumPy, pluggy, typer, rich, PyYAML, safetensors,
filelock and pydantic; no MLflow, no network, and no installation: from a checkout it finds ebmcore
and its plugins by itself. Where pydantic is missing, carry it over as wheels:

    pip download -d wheels --only-binary :all: --python-version 3.12 pydantic pyyaml
    pip install --no-index --find-links wheels pydantic pyyaml    # there

Sections, in this order; each has a share of the time, and rows for which none is left are skipped:

    conformance   a step of every energy, sampler, chains and loss on the GPU against the CPU
    sync          1,000 whole training steps while torch forbids to wait for the GPU
    langevin      µs a Langevin step: three nets, 10³ to 10⁶ chains, each way to run it
    training      ms a training step of persistent contrastive divergence, and peak memory

Prints one JSON of results, and writes it to `--out`. `--device cpu --quick` tries the file itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHARES = {"conformance": 0.15, "sync": 0.2, "langevin": 0.4, "training": 0.25}  # of the time


def use_checkout() -> None:
    """Let Python find the checkout's packages and entry points, unless they are installed."""
    if find_spec("ebmcore") is not None:
        return
    points = Path(tempfile.mkdtemp(prefix="ebmcore-entry-points-"))
    for project in (HERE.parent, *sorted(HERE.parent.glob("plugins/*/"))):
        sys.path.insert(0, str(project))
        facts = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        folder = points / f"{facts['name'].replace('-', '_')}-{facts['version']}.dist-info"
        folder.mkdir()
        lines = [f"Metadata-Version: 2.1\nName: {facts['name']}\nVersion: {facts['version']}\n"]
        (folder / "METADATA").write_text("".join(lines))
        groups = facts.get("entry-points", {})
        text = [f"[{g}]\n" + "".join(f"{k} = {v}\n" for k, v in groups[g].items()) for g in groups]
        (folder / "entry_points.txt").write_text("\n".join(text))
    sys.path.insert(0, str(points))


sys.path.insert(0, str(HERE))
use_checkout()

import torch  # noqa: E402 (after the packages can be found)
from gpu_rows.bench import Bench  # noqa: E402
from gpu_rows.conformance import conformance  # noqa: E402
from gpu_rows.langevin import langevin  # noqa: E402
from gpu_rows.training import sync, training  # noqa: E402

import ebmcore  # noqa: E402

RUN = {
    "conformance": conformance,
    "sync": sync,
    "langevin": langevin,
    "training": training,
}


def facts(bench: Bench) -> dict[str, Any]:
    """Return what the numbers depend on."""

    def there(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    found = {name: there(name) for name in ("torch", "triton", "torchebm", "numpy")}
    card = torch.cuda.get_device_properties(bench.device) if bench.cuda else None
    return {
        "ebmcore": ebmcore.__version__, "python": platform.python_version(), **found,
        "cuda": torch.version.cuda, "device": card.name if card else str(bench.device),
        "memory_gb": card.total_memory / 2**30 if card else None, "cores": os.cpu_count(),
        "quick": bench.quick,
    }  # fmt: skip


def main() -> int:
    """Measure, print and write; 1 when a check failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try the file")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, nothing compiled")
    parser.add_argument("--seconds", type=float, default=450.0, help="the time for all of it")
    parser.add_argument("--only", nargs="+", choices=RUN, default=list(RUN))
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="where the JSON goes")
    given = parser.parse_args()
    bench = Bench(given.device, given.seconds, quick=given.quick)
    result = {"facts": facts(bench), "rows": bench.rows}
    for section in given.only:
        bench.begin(SHARES[section])
        RUN[section](bench)
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
    failed = [row for row in bench.rows if "failed" in row or row.get("passed") is False]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
