"""Exact test log-likelihoods on six toys: `python benchmarks/toys.py`.

Trains each method on each toy with three seeds, two at a time, with the network and the budget of
benchmarks/methods.py, on 10,000 points, and judges it by 10,000 held-out points. What is in
benchmarks/results/toys.jsonl already is not trained again; `python benchmarks/pages.py` then writes
docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import math

from grid import NONE, RESULTS, Found, Job, Spread, run_all
from methods import SEEDS, protocol

GAP = "exact_likelihood/kl_held_out"
ENTROPY = "exact_likelihood/entropy"
STEPS = 3000
PER_EPOCH = 78  # batches of 128 in 10,000 points
METHODS = {
    "PCD": "examples/methods/pcd.yaml",
    "score matching": "examples/methods/score_matching.yaml",
    "sliced score matching": "examples/methods/sliced_score_matching.yaml",
    "denoising score matching": "examples/methods/denoising_score_matching.yaml",
    "noise-contrastive": "examples/methods/noise_contrastive.yaml",
    "energy discrepancy": "examples/methods/energy_discrepancy.yaml",
}
# two methods with the networks of their own configs, neither of which has the Gaussian
OWN = {
    "PCD, leaky_relu alone": METHODS["PCD"],
    "noise-contrastive, silu alone": METHODS["noise-contrastive"],
}
TOYS = ("eight_gaussians", "rings", "moons", "two_spirals", "checkerboard", "pinwheel")
# PCD on rings again: without the bias of the sampler, four times as long, and both
MALA = ("sampler={type: mala, step_size: 0.01, n_steps: 10}",)
CHANGES: dict[str, tuple[int, tuple[str, ...]]] = {
    "as above": (STEPS, ()),
    "by `mala`": (STEPS, MALA),
    "four times as long": (4 * STEPS, ()),
    "four times as long, by `mala`": (4 * STEPS, MALA),
}


def job(row: str, toy: str, seed: int) -> Job:
    """The run of a method on a toy."""
    if row in METHODS:
        return _job(row, METHODS[row], toy, seed, _budget(STEPS))
    own = (
        f"train.steps={STEPS}",
        "train.ema=0.999",
        f"lr_scheduler.total_iters={STEPS // PER_EPOCH}",
    )
    return _job(row, OWN[row], toy, seed, ("train.epochs=null", *own))


def changed(row: str, seed: int) -> Job:
    """The run of PCD on rings with one change."""
    steps, changes = CHANGES[row]
    return _job(row, METHODS["PCD"], "rings", seed, (*_budget(steps), *changes))


def jobs() -> list[Job]:
    """All runs, of all tables."""
    grid = [job(row, toy, seed) for seed in SEEDS for row in (*METHODS, *OWN) for toy in TOYS]
    return [*grid, *(changed(row, seed) for seed in SEEDS for row in CHANGES)]


def _budget(steps: int) -> tuple[str, ...]:
    return ("train.epochs=null", *protocol(f"train.steps={steps}", steps // PER_EPOCH))


def _job(row: str, config: str, toy: str, seed: int, overrides: tuple[str, ...]) -> Job:
    data = f"data={{type: {toy}, n: 20000, holdout: 0.5}}"
    monitors = "monitors=[{type: exact_likelihood, every: end}]"
    return Job(row, toy, seed, config, (data, *overrides, monitors))


def tables(found: Found) -> dict[str, list[str]]:
    """The tables of docs/benchmark.md."""
    head = ["| | " + " | ".join(TOYS) + " |", "| --- |" + " --- |" * len(TOYS)]
    ceilings = {toy: ceiling(found, toy) for toy in TOYS}
    top = " | ".join("" if c is None else f"*{c:.3f}*" for c in ceilings.values())
    likelihoods = [*head, f"| *ceiling: minus the entropy* | {top} |"]
    gaps = list(head)
    for row in (*METHODS, *OWN):
        runs = {toy: [job(row, toy, seed) for seed in SEEDS] for toy in TOYS}
        spreads = [found.spread(GAP, runs[toy]) for toy in TOYS]
        mark = found.mark(each for toy in TOYS for each in runs[toy])
        gaps.append(
            f"| {row}{mark} | " + " | ".join(found.cell(GAP, runs[toy]) for toy in TOYS) + " |"
        )
        cells = [
            Spread(*(c - gap for gap in (s.middle, s.high, s.low))).text() if c and s else NONE
            for c, s in zip(ceilings.values(), spreads, strict=True)
        ]
        likelihoods.append(f"| {row}{mark} | {' | '.join(cells)} |")
    changes = ["| PCD on rings | entropy gap, nats | gradients |", "| --- | --- | --- |"]
    for row in CHANGES:
        runs = [changed(row, seed) for seed in SEEDS]
        done = found.finished(runs)
        cost = f"{done[0]['gradients']:,}" if done else ""
        changes.append(f"| {row} | {found.cell(GAP, runs)} | {cost} |")
    return {"toys, likelihoods": likelihoods, "toys, gaps": gaps, "toys, rings": changes}


def figures(found: Found) -> dict[str, str]:
    """The entropy gaps of the tables one by one, and the price of a kernel's bias on rings."""
    rows = (*METHODS, *OWN)
    cells = {f"{row}, {toy}": [job(row, toy, s) for s in SEEDS] for row in rows for toy in TOYS}
    cells |= {f"PCD on rings, {row}": [changed(row, seed) for seed in SEEDS] for row in CHANGES}
    named = {name: found.figure(GAP, runs) for name, runs in cells.items()}
    number, change = found.again(GAP)
    named |= {"toys, runs again": str(number), "toys, change": f"{change:.1e}"}
    thick, step, sigma = 0.15, 0.01, 0.1  # of the rings; of the sampler; of the denoising loss
    named["the bias on rings"] = f"{price_of_bias(thick, step):.3f}"
    named["the blur on rings"] = f"{price_of_width(thick**2, thick**2 + sigma**2):.3f}"
    return named


def price_of_bias(std: float, step: float) -> float:
    """KL(data‖model), in nats, across a shape as thick as `std` that Langevin steps learn exactly.

    On E = x² / 2v the chain's law has variance v / (1 - h / 2v). Chains that agree with data of
    variance s² so teach the v that solves v² = s² (v - h / 2); the KL is KL(N(0, s²)‖N(0, v)).
    """
    squared = std**2
    return price_of_width(squared, (squared + math.sqrt(squared * (squared - 2 * step))) / 2)


def price_of_width(data: float, model: float) -> float:
    """KL(N(0, data)‖N(0, model)) in nats, of two variances."""
    return (data / model - 1 - math.log(data / model)) / 2


def ceiling(found: Found, toy: str) -> float | None:
    """The likelihood of the truth: minus the entropy, which each run of a toy records."""
    runs = [job(row, toy, seed) for row in METHODS for seed in SEEDS]
    entropies = {round(e["metrics"][ENTROPY], 4) for e in found.finished(runs)}
    return -entropies.pop() if len(entropies) == 1 else None


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", nargs="+", choices=(*METHODS, *OWN, *CHANGES), default=(), metavar="ROW"
    )
    parser.add_argument("--again", action="store_true", help="what earlier code trained, too")
    given = parser.parse_args()
    run_all(jobs(), RESULTS / "toys.jsonl", given.workers, given.only, again=given.again)


if __name__ == "__main__":
    main()
