"""`examples/anomaly.yaml` over a folder of tables, beside three simple methods of scikit-learn.

    python benchmarks/anomaly.py DIR [--seeds 0 1 2] [--only NAME ...] [--out FILE]

DIR holds .npz files with arrays `X`, (rows, columns), and `y`, 1 where a row is an anomaly, such as
ADBench's classical tables. Of more than 10,000 rows, 10,000 are drawn. Half of the normal rows
train; the other half and all anomalies are scored. The training rows' mean and standard deviation
scale all rows; those to score are clipped to ±1,000. Every method gets the same rows, on one core.

It prints AUROC and AUPR of each table and method in percent, the mean over the seeds, and the
recipe's CPU seconds at its slowest seed, and writes each measurement to FILE, by default
`benchmarks/results/anomaly.jsonl`, in place of that of the same table, method and seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

import ebmcore

HERE = Path(__file__).parent
CONFIG = HERE.parent / "examples" / "anomaly.yaml"
RESULTS = HERE / "results" / "anomaly.jsonl"
MOST = 10_000  # rows
FURTHEST = 1_000  # standard deviations
OWN = "energy"
NAMES = {
    OWN: "`examples/anomaly.yaml`",
    "knn": "kNN, 5th distance",
    "gaussian": "Gaussian, Ledoit-Wolf",
    "forest": "isolation forest",
}


class Split(NamedTuple):
    """The rows to train on and those to score, scaled, and which of these are anomalies."""

    train: np.ndarray
    test: np.ndarray
    anomalies: np.ndarray


def split(path: Path, seed: int) -> Split:
    """Read a table and split it by the protocol."""
    with np.load(path) as table:
        x, y = table["X"].astype(float), table["y"]
    state = np.random.RandomState(seed)
    if len(x) > MOST:
        drawn = state.choice(len(x), MOST, replace=False)
        x, y = x[drawn], y[drawn]
    normal = state.permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    test = np.concatenate([normal[half:], np.flatnonzero(y == 1)])
    scaler = StandardScaler().fit(x[normal[:half]])
    scored = np.clip(scaler.transform(x[test]), -FURTHEST, FURTHEST)
    return Split(scaler.transform(x[normal[:half]]), scored, y[test])


def energy(rows: Split, seed: int) -> np.ndarray:
    """Train the recipe, and return the energies of the rows to score."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.npy"
        np.save(path, rows.train.astype(np.float32))
        # the protocol holds rows out by itself
        changed = {"data.path": str(path), "data.holdout": 0.0, "seed": seed, "threads": 1}
        run = ebmcore.run(CONFIG, {**changed, "tracking": "off"}, runs_dir=folder, progress=False)
        x = run.transforms(torch.from_numpy(rows.test.astype(np.float32)))
        with torch.no_grad():
            return run.energy(x).double().numpy()


def knn(rows: Split, seed: int) -> np.ndarray:
    """Return the distances to the fifth nearest training row."""
    nearest = NearestNeighbors(n_neighbors=min(5, len(rows.train))).fit(rows.train)
    return nearest.kneighbors(rows.test)[0][:, -1]


def gaussian(rows: Split, seed: int) -> np.ndarray:
    """Return the Mahalanobis distances under a shrunk covariance."""
    return LedoitWolf().fit(rows.train).mahalanobis(rows.test)


def forest(rows: Split, seed: int) -> np.ndarray:
    """Return the scores of an isolation forest."""
    return -IsolationForest(random_state=seed).fit(rows.train).score_samples(rows.test)


METHODS: dict[str, Callable[[Split, int], np.ndarray]] = {
    OWN: energy,
    "knn": knn,
    "gaussian": gaussian,
    "forest": forest,
}


def measure(path: Path, seed: int, method: str) -> dict[str, Any]:
    """Score a table by a method."""
    rows = split(path, seed)
    began = time.process_time()
    scores = METHODS[method](rows, seed)
    seconds = time.process_time() - began
    return {
        "table": path.stem,
        "method": method,
        "seed": seed,
        "auroc": 100 * float(roc_auc_score(rows.anomalies, scores)),
        "aupr": 100 * float(average_precision_score(rows.anomalies, scores)),
        "seconds": round(seconds, 2),
    }


def read(results: Path = RESULTS) -> list[dict[str, Any]]:
    """Read the recorded scores."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def table(found: Sequence[dict[str, Any]]) -> list[str]:
    """The table of docs/anomaly.md: means over the seeds, and the recipe's slowest seed."""
    lines = [
        f"| table | {' | '.join(NAMES.values())} | seconds |",
        f"| --- |{' --- |' * len(NAMES)} --- |",
    ]
    for name in sorted({entry["table"] for entry in found}, key=_number):
        mine = [entry for entry in found if entry["table"] == name]
        lines.append(f"| {name} | {' | '.join(_cells(mine))} | {_seconds(mine)} |")
    bold = " | ".join(f"**{cell}**" for cell in _cells(found))
    return [*lines, f"| **mean** | {bold} | {_seconds(found)} |"]


def figures(found: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The recipe's means and kNN's."""
    cells = dict(zip(NAMES, _cells(found), strict=True))
    return {f"anomaly, mean of {method}": cells[method] for method in (OWN, "knn")}


def _cells(found: Iterable[dict[str, Any]]) -> list[str]:
    of = {name: [entry for entry in found if entry["method"] == name] for name in NAMES}
    return [
        f"{fmean(e['auroc'] for e in mine):.2f} / {fmean(e['aupr'] for e in mine):.2f}"
        for mine in of.values()
    ]


def _seconds(found: Iterable[dict[str, Any]]) -> str:
    return f"{max(entry['seconds'] for entry in found if entry['method'] == OWN):.1f}"


def _number(name: str) -> tuple[int, str]:
    """Sort ADBench's names by their numbers."""
    number = name.partition("_")[0]
    return (int(number) if number.isdigit() else 0), name


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a measurement is of."""
    return *_number(entry["table"]), list(METHODS).index(entry["method"]), entry["seed"]


def main() -> None:
    """Measure every table and print the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="tables, by their files' names")
    parser.add_argument("--out", type=Path, metavar="FILE", default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    paths = [p for p in asked.folder.glob("*.npz") if not asked.only or p.stem in asked.only]
    if not paths:
        raise SystemExit(f"{asked.folder}: no such table (.npz)")
    found = []
    for path in sorted(paths, key=lambda path: _number(path.stem)):
        mine = [measure(path, seed, m) for seed in asked.seeds for m in METHODS]
        sys.stdout.write(f"{path.stem:<18}{'   '.join(_cells(mine))}   {_seconds(mine)} s\n")
        sys.stdout.flush()
        found += mine
    sys.stdout.write("\n".join(["", *table(found), ""]))
    entries = {_key(entry): entry for entry in [*read(asked.out), *found]}
    lines = [json.dumps(entries[key]) + "\n" for key in sorted(entries)]
    asked.out.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
