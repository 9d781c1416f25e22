"""Held-out likelihoods of trained energies, with brackets: `python benchmarks/likelihoods.py`.

On one thread an energy, a network and a Gaussian, is trained on each set of data by persistent
contrastive divergence, and `exact_likelihood` records the estimate of `log_z`. Beside it stands the
nll of the Gaussian of the training rows' mean and covariance. All nlls are in nats an event, in the
data's own units; of images, whose pixels are dequantised, per image and with each pixel in [0, 1].
`--tables DIR` adds tables of ADBench, .npz files with arrays X and y, of which normal rows count.
MNIST's 5,000 digits come with `pip install 'ebmcore-datasets[mnist]'`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ebmcore_estimators import Gaussian

import ebmcore

TABLES = ("38_thyroid", "6_cardio")
HEAD = "| data | numbers | held out | Gaussian | nll | bracket | width | starts | train, log_z |"
RULE = "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"


def images(levels: int, **data: Any) -> dict[str, Any]:
    """Return the data of a config: dequantised pixels, each with mean 0 and variance 1."""
    return {
        **data,
        "scale": "unit",
        "holdout": 0.2,
        "transform": [
            {"type": "min_max", "low": 0, "high": levels - 1, "per": "event"},
            {"type": "dequantise", "levels": levels},
            {"type": "standardise"},
        ],
    }


def config(data: dict[str, Any], *, hidden: int, langevin: int, steps: int) -> dict[str, Any]:
    """Return a config of a network and a Gaussian, which keeps exp(-E) integrable."""
    net = {"type": "mlp", "hidden": [hidden, hidden], "activation": "silu"}
    return {
        "seed": 0,
        "data": data,
        "energy": {"type": "sum", "terms": [net, {"type": "gaussian", "scale": 1.0}]},
        "sampler": {"type": "langevin", "step_size": "auto", "n_steps": langevin},
        "chains": {"type": "persistent", "size": 500, "reinit": 0.0},
        "loss": "contrastive_divergence",
        "optimizer": {"type": "Adam", "lr": 3.0e-4, "betas": [0.0, 0.999]},
        "train": {"steps": steps, "batch_size": 128, "ema": 0.995},
        "monitors": [],
        "tracking": "off",
    }


def experiments(tables: Path | None, scratch: Path) -> dict[str, tuple[dict[str, Any], Any]]:
    """Return each config, and the keys of `log_z`."""
    found = {
        "digits, 8×8": (
            config(images(17, type="digits"), hidden=256, langevin=20, steps=1000),
            {"n": 512},
        ),
        "MNIST, 14×14": (
            config(images(1021, type="mnist", resize=14), hidden=256, langevin=10, steps=600),
            {"n": 512},
        ),
        "MNIST, 28×28": (
            config(images(256, type="mnist"), hidden=256, langevin=10, steps=600),
            {"n": 256, "steps": 544, "most": 784},
        ),
    }
    for name in TABLES if tables is not None else ():
        assert tables is not None
        rows = np.load(tables / f"{name}.npz")
        path = scratch / f"{name}.npy"
        np.save(path, rows["X"][rows["y"] == 0].astype(np.float32))
        data = {
            "type": "file", "path": str(path), "holdout": 0.2,
            "transform": [{"type": "standardise"}],
        }  # fmt: skip
        found[name] = (config(data, hidden=128, langevin=10, steps=1500), {"n": 512})
    return found


def of_gaussian(run: ebmcore.Run) -> float:
    """Return the mean nll of held-out rows under the Gaussian of the training rows."""
    generator = torch.Generator().manual_seed(0)
    base = Gaussian.fitted(run.transforms(run.train_data.x, generator=generator))
    held_out, log_det = run.transforms.with_log_det(run.held_out.x, generator)
    return float((base.energy(held_out).double() - log_det.double()).mean())


def row(name: str, tree: dict[str, Any], how: dict[str, Any], scratch: Path) -> str:
    """Train, estimate, and return a row of the table."""
    began = time.process_time()
    run = ebmcore.run(tree, runs_dir=scratch, progress=False)
    trained = time.process_time()
    judge = {"type": "exact_likelihood", "estimate": {"type": "log_z", **how}}
    found = ebmcore.evaluate(run.dir, {"monitors": [judge]}, device="cpu")
    seconds = time.process_time() - trained
    if found.failed or found.warnings:
        print(found.failed, found.warnings)
    numbers = {key.partition("/")[2]: value for key, value in found.metrics.items()}
    low, high = numbers["nll_low"], numbers["nll_high"]
    return (
        f"| {name} | {run.train_data.x[0].numel()} | {len(run.held_out.x)} | "
        f"{of_gaussian(run):.2f} | {numbers['nll_estimate']:.2f} | {low:.2f} to {high:.2f} | "
        f"{high - low:.2f} | {numbers['ess']:.0f} of {how['n']} | {trained - began:.0f}, "
        f"{seconds:.0f} s |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, help="a folder of .npz files of ADBench")
    parser.add_argument("--only", default="", help="data whose name holds this")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(HEAD, RULE, sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        for name, (tree, how) in experiments(given.tables, Path(folder)).items():
            if given.only in name:
                print(row(name, tree, how, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
