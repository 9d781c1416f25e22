"""Losses of bits judged by the exact KL on seven toys: `python benchmarks/discrete.py`.

Trains an MLP of three layers of 256 on gray codes of 16 bits, by each method, with three seeds, two
at a time, each in a process of its own on one thread. Every method has as many steps, and evaluates
the energy at 17 events for each event of a batch. KL(data‖model) is the sum over all 65,536 events.
It trains no run again that benchmarks/results/discrete.jsonl holds; `--table` prints these alone.
The command names a run whose KL is below 0, which is impossible, and ends with an error.
"""

from __future__ import annotations

import argparse
import sys

from grid import RESULTS, Found, Job, run_all

CONFIG = "examples/gray_toys.yaml"
SEEDS = (0, 1, 2)
KL = "exact_likelihood/kl"
FILE = "discrete.jsonl"
STEPS = 4000
TOYS = ("2spirals", "8gaussians", "checkerboard", "circles", "moons", "pinwheel", "swissroll")
PCD = "loss=contrastive_divergence"
METHODS = {
    # 1 for the data, 16 for the chains: 14 steps, one more where they begin, one of the loss
    "PCD, gibbs_with_gradients": (PCD, "sampler={type: gibbs_with_gradients, n_steps: 14}"),
    "PCD, dmala": (PCD, "sampler={type: dmala, step_size: 0.5, n_steps: 14}"),
    "pseudo_likelihood": ("loss=pseudo_likelihood",),
    "ratio_matching": ("loss=ratio_matching",),
    "energy discrepancy": ("loss={type: discrete_energy_discrepancy, samples: 16}",),
    "concrete_score_matching": ("loss={type: concrete_score_matching, epsilon: 0.01}",),
}


def job(method: str, toy: str, seed: int) -> Job:
    """The run of a method on a toy."""
    overrides = (
        f"data={{type: gray_code, toy: {toy}, bits: 16, n: 50000}}",
        *METHODS[method],
        f"train={{steps: {STEPS}, batch_size: 100, ema: 0.999}}",
        "lr_scheduler={type: LinearLR, start_factor: 1.0, end_factor: 0.02, total_iters: 9}",
        "monitors=[{type: exact_likelihood, every: end}]",
    )
    return Job(method, toy, seed, CONFIG, overrides)


def jobs() -> list[Job]:
    """All runs, one seed of everything first."""
    return [job(method, toy, seed) for seed in SEEDS for method in METHODS for toy in TOYS]


def table(found: Found) -> list[str]:
    """The table: a row for each method, the KL on each toy in nats."""
    lines = [f"| method | {' | '.join(TOYS)} |", f"| --- |{' --- |' * len(TOYS)}"]
    for method in METHODS:
        cells = [found.cell(KL, [job(method, toy, seed) for seed in SEEDS]) for toy in TOYS]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def impossible(found: Found) -> list[str]:
    """Name the runs whose KL is below 0, or was not recorded for that reason."""
    return [
        f"{entry['row']}, {entry['column']}, seed {entry['seed']}: {entry['metrics'].get(KL)}"
        for entry in found.finished(jobs())
        if not entry["metrics"].get(KL, -1.0) >= 0
    ]


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=METHODS, default=(), metavar="METHOD")
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    given = parser.parse_args()
    if not given.table:
        run_all(jobs(), RESULTS / FILE, given.workers, given.only)
    found = Found(FILE)
    print("\n".join(table(found)))
    if wrong := impossible(found):
        sys.exit("\n".join(["a KL can't be below 0:", *wrong]))


if __name__ == "__main__":
    main()
