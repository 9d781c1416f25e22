"""JEM beside the same net trained by cross-entropy alone: accuracy, calibration, samples.

    python benchmarks/jem.py [--seeds 0 1 2 3 4 5] [--picture jem.png]

Each seed trains `examples/jem_digits.yaml` twice on the same split of the digits, once as it is and
once with `cross_entropy` as its only loss and the energy's temperature at 1, where the logits are
the net's own. The held-out numbers of both are appended to `benchmarks/results/jem.jsonl`. Under
the table stand JEM's numbers less the other's, their mean over the seeds and its standard error.
The picture shows eight samples of each class of the first JEM.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from statistics import fmean, stdev

import torch
from grid import Spread
from torch.nn.functional import pad

import ebmcore

HERE = Path(__file__).parent
CONFIG = HERE.parent / "examples" / "jem_digits.yaml"
RESULTS = HERE / "results" / "jem.jsonl"
COLUMNS = ("accuracy", "nll", "ece")


def train(seed: int, runs_dir: str, *, joint: bool) -> ebmcore.Run:
    """Train one of the two; the net, its first weights, the split and the batches are the same."""
    overrides = {
        "seed": seed,
        "tracking": "off",
        "monitors": [{"type": "classification", "every": "end"}],
    }
    alone = {} if joint else {"loss": [{"type": "cross_entropy"}], "energy.temperature": 1.0}
    return ebmcore.run(CONFIG, {**overrides, **alone}, runs_dir=runs_dir, progress=False)


def draw(run: ebmcore.Run, picture: str, n: int = 8) -> None:
    """Draw n samples of each class, a row for each."""
    from matplotlib.figure import Figure

    rows = [pad(run.sample(n, 500, y=digit), (1, 1, 1, 1), value=0.5) for digit in range(10)]
    image = torch.cat([row.permute(1, 0, 2).flatten(1) for row in rows])
    figure = Figure(figsize=(0.55 * n, 5.5), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(image.cpu().numpy(), cmap="gray", vmin=0, vmax=1)
    axes.set_yticks([10 * digit + 4.5 for digit in range(10)], [str(digit) for digit in range(10)])
    axes.set_xticks([])
    axes.set_title("samples of each class", fontsize=10)
    figure.savefig(picture)


def read() -> dict[str, list[dict[str, float]]]:
    """Read the recorded numbers: of each way to train, an entry a seed, in the same order."""
    entries = [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]
    kinds = ("jem", "cross_entropy")
    by_seed = {kind: {e["seed"]: e for e in entries if e["trained"] == kind} for kind in kinds}
    return {kind: [found[seed] for seed in sorted(found)] for kind, found in by_seed.items()}


def table(found: dict[str, list[dict[str, float]]]) -> list[str]:
    """The table of docs/gallery.md: the median over seeds, the lowest and the highest."""
    lines = ["| trained by | accuracy | NLL, nats | ECE |", "| --- | --- | --- | --- |"]
    names = {
        "jem": "cross-entropy and contrastive divergence",
        "cross_entropy": "cross-entropy alone",
    }
    for kind, name in names.items():
        cells = [Spread.of(entry[column] for entry in found[kind]) for column in COLUMNS]
        lines.append(f"| {name} | {' | '.join(c.text(4) for c in cells if c)} |")
    difference = [_difference(found, column) for column in COLUMNS]
    return [*lines, f"| difference, its mean and standard error | {' | '.join(difference)} |"]


def figures(found: dict[str, list[dict[str, float]]]) -> dict[str, str]:
    """The difference of the ECE on the seeds that no setting was chosen on, and its sign."""
    later = {kind: [e for e in entries if e["seed"] > 2] for kind, entries in found.items()}
    pairs = zip(found["jem"], found["cross_entropy"], strict=True)
    lower = sum(one["ece"] < other["ece"] for one, other in pairs)
    return {
        "JEM's ECE, difference on seeds 3 to 5": _difference(later, "ece"),
        "JEM's ECE, seeds where it is lower": str(lower),
    }


def _difference(found: dict[str, list[dict[str, float]]], column: str) -> str:
    pairs = zip(found["jem"], found["cross_entropy"], strict=True)
    differences = [one[column] - other[column] for one, other in pairs]
    error = stdev(differences) / math.sqrt(len(differences))
    return f"{fmean(differences):+.4f} ± {error:.4f}"


def main() -> None:
    """Run the seeds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4, 5])
    parser.add_argument("--picture")
    asked = parser.parse_args()
    differences: list[list[float]] = []  # of each seed, a number for each column
    with tempfile.TemporaryDirectory() as folder, RESULTS.open("a") as results:
        for seed in asked.seeds:
            rows: list[list[float]] = []
            for name in ("jem", "cross_entropy"):
                run = train(seed, folder, joint=name == "jem")
                found = {key: run.metrics[f"classification/{key}"] for key in COLUMNS}
                results.write(json.dumps({"seed": seed, "trained": name, **found}) + "\n")
                rows.append(list(found.values()))
                text = "  ".join(f"{key} {value:.4f}" for key, value in found.items())
                sys.stdout.write(f"seed {seed}  {name:<14}{text}\n")
                if name == "jem" and seed == asked.seeds[0] and asked.picture:
                    draw(run, asked.picture)
            joint, alone = rows
            differences.append([a - b for a, b in zip(joint, alone, strict=True)])
    table = torch.tensor(differences, dtype=torch.float64)
    errors = table.std(0) / len(table) ** 0.5 if len(table) > 1 else table[0] * math.nan
    for key, mean, error in zip(COLUMNS, table.mean(0).tolist(), errors.tolist(), strict=True):
        sys.stdout.write(f"jem less cross_entropy: {key} {mean:+.4f} ± {error:.4f}\n")


if __name__ == "__main__":
    main()
