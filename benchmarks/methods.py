"""Losses judged by the same KL on five Gaussians: `python benchmarks/methods.py`.

Trains each example of a method with three seeds, two at a time, and writes the table of
docs/methods.md. What is in benchmarks/results/methods.jsonl already is not trained again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from grid import RESULTS, ROOT, Job, Spread, run_all, write_table

MONITORS = (
    "monitors=[{type: exact_likelihood, every: end}, {type: landscape, every: end}, "
    "{type: advice, every: 5 epochs}]"
)
ROWS = {
    "PCD, 10 steps: the main example": "examples/five_gaussians.yaml",
    "PCD, regularised and clipped": "examples/methods/regularised.yaml",
    "CD-1": "examples/methods/contrastive_divergence.yaml",
    "short-run MCMC from noise, 10 steps": "examples/methods/short_run.yaml",
    "improved CD": "examples/methods/improved_cd.yaml",
    "score matching, exact trace": "examples/methods/score_matching.yaml",
    "sliced score matching": "examples/methods/sliced_score_matching.yaml",
    "denoising score matching": "examples/methods/denoising_score_matching.yaml",
    "noise-contrastive": "examples/methods/noise_contrastive.yaml",
    "energy discrepancy": "examples/methods/energy_discrepancy.yaml",
}


def main() -> None:
    """Run what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args().workers
    jobs = [
        Job(row, "five_gaussians", seed, config, (MONITORS,), "" if seed else Path(config).stem)
        for seed in range(3)
        for row, config in ROWS.items()
    ]
    found = run_all(jobs, RESULTS / "methods.jsonl", workers)
    lines = [
        "| method | config | KL, nats | seconds | gradients a step | gradients |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            _line(row, config, [e for e in found if e["row"] == row])
            for row, config in ROWS.items()
        ),
    ]
    write_table(ROOT / "docs" / "methods.md", lines)


def _line(row: str, config: str, entries: list[dict[str, Any]]) -> str:
    kl = Spread.of(
        e["metrics"]["exact_likelihood/kl"]
        for e in entries
        if "exact_likelihood/kl" in e.get("metrics", {})
    )
    done = [e for e in entries if e["status"] == "FINISHED"]
    seconds = Spread.of(e["seconds"] for e in done)
    link = f"[{config.rpartition('/')[2]}](../{config})"
    if kl is None or seconds is None:
        reasons = ", ".join(sorted({e.get("error", "no KL") for e in entries}))
        return f"| {row} | {link} | {reasons} | | | |"
    # the monitors' own are fewer than one a step, and are left out
    steps = done[0]["steps"]
    each = done[0]["gradients"] // steps
    return (
        f"| {row} | {link} | {kl.middle:.3f} ({kl.low:.3f} to {kl.high:.3f}) | "
        f"{seconds.middle:.0f} | {each} | {each * steps:,} |"
    )


if __name__ == "__main__":
    main()
