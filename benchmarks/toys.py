"""Exact test log-likelihoods on six toys: `python benchmarks/toys.py`.

Trains each method on each toy with three seeds, two at a time, 3,000 steps on 10,000 points, and
writes the tables of docs/benchmark.md from 10,000 held-out points. What is in
benchmarks/results/toys.jsonl already is not trained again.
"""

from __future__ import annotations

import argparse
from typing import Any

from grid import RESULTS, ROOT, Job, Spread, run_all, write_table

STEPS = (
    "train.epochs=null",
    "train.steps=3000",
    "train.ema=0.999",
    "lr_scheduler.total_iters=38",
    "monitors=[{type: exact_likelihood, every: end}]",
)
METHODS = {
    "PCD": "examples/five_gaussians.yaml",
    "score matching": "examples/methods/score_matching.yaml",
    "sliced score matching": "examples/methods/sliced_score_matching.yaml",
    "denoising score matching": "examples/methods/denoising_score_matching.yaml",
    "noise-contrastive": "examples/methods/noise_contrastive.yaml",
    "energy discrepancy": "examples/methods/energy_discrepancy.yaml",
}
TOYS = ("eight_gaussians", "rings", "moons", "two_spirals", "checkerboard", "pinwheel")


def main() -> None:
    """Run what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    jobs = [
        Job(row, toy, seed, config, (f"data={{type: {toy}, n: 20000, holdout: 0.5}}", *STEPS))
        for seed in range(3)
        for row, config in METHODS.items()
        for toy in TOYS
    ]
    found = run_all(jobs, RESULTS / "toys.jsonl", workers)
    head = ["| | " + " | ".join(TOYS) + " |", "| --- |" + " --- |" * len(TOYS)]
    ceilings = {toy: -_entropy([e for e in found if e["column"] == toy]) for toy in TOYS}
    lines = [
        "Test log-likelihood, nats:",
        "",
        *head,
        "| *ceiling: minus the entropy* | "
        + " | ".join(f"*{c:.3f}*" for c in ceilings.values())
        + " |",
        *(_line(row, found, ceilings) for row in METHODS),
        "",
        "Entropy gap, KL(data‖model), nats:",
        "",
        *head,
        *(_line(row, found, dict.fromkeys(TOYS, 0.0), sign=1) for row in METHODS),
    ]
    write_table(ROOT / "docs" / "benchmark.md", lines)


def _entropy(entries: list[dict[str, Any]]) -> float:
    (entropy,) = {
        round(e["metrics"]["exact_likelihood/entropy"], 4)
        for e in entries
        if "exact_likelihood/entropy" in e.get("metrics", {})
    }
    return float(entropy)


def _line(row: str, found: list[dict[str, Any]], ceilings: dict[str, float], sign: int = -1) -> str:
    cells = []
    for toy, ceiling in ceilings.items():
        gaps = [
            e["metrics"].get("exact_likelihood/kl_held_out")
            for e in found
            if (e["row"], e["column"]) == (row, toy) and e["status"] == "FINISHED"
        ]
        spread = Spread.of(ceiling + sign * gap for gap in gaps if gap is not None)
        low_high = f" ({spread.low:.3f} to {spread.high:.3f})" if spread else ""
        cells.append(f"{spread.middle:.3f}{low_high}" if spread else "failed")
    return f"| {row} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
