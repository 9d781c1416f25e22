"""Losses of bits judged by the exact KL on seven toys: `python benchmarks/discrete.py`.

Trains an MLP of three layers of 256 on gray codes of 16 bits, by each method, with three seeds,
each run in a process of its own on one thread. Every run has 7,000 steps of 500 evaluations of the
energy, which a method splits between events of the data, none of them drawn for another step, and
those that it compares them with. The setting was chosen for pseudo-likelihood on pinwheel and
2spirals, seed 0; the contrast with noise and its ridge on these, moons and 8gaussians.
KL(data‖model) is the sum over all 65,536 events. It trains no run again that
benchmarks/results/discrete.jsonl holds; `--table` prints these alone.
The command names a run whose KL is below 0, which is impossible, and ends with an error.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import NamedTuple

from grid import RESULTS, Found, Job, run_all

CONFIG = "examples/gray_toys.yaml"
SEEDS = (0, 1, 2)
KL = "exact_likelihood/kl"
FILE = "discrete.jsonl"
STEPS = 7000
HOLDOUT = 0.01
TOYS = ("2spirals", "8gaussians", "checkerboard", "circles", "moons", "pinwheel", "swissroll")


class Method(NamedTuple):
    """How a method spends the 500 evaluations of a step, and its learning rate."""

    overrides: tuple[str, ...]
    events: int  # of the data, in a batch
    lr: float


PCD = ("loss=contrastive_divergence", "chains={type: persistent, size: 100}")
METHODS = {
    # 10 evaluations for an event: 7 steps of its chain and one where they begin, two of the loss
    "PCD, gibbs_with_gradients": Method(
        (*PCD, "sampler={type: gibbs_with_gradients, n_steps: 7}"), 50, 0.002
    ),
    "PCD, dmala": Method((*PCD, "sampler={type: dmala, step_size: 0.5, n_steps: 7}"), 50, 0.002),
    "pseudo_likelihood": Method(("loss={type: pseudo_likelihood, sites: 4}",), 100, 0.006),
    "pseudo_likelihood, noise_contrastive": Method(
        ("loss=[{type: pseudo_likelihood, sites: 4}, {type: noise_contrastive, ridge: 0.5}]",),
        71,
        0.006,
    ),
    "ratio_matching": Method(("loss={type: ratio_matching, sites: 4}",), 100, 0.006),
    "energy discrepancy": Method(
        ("loss={type: discrete_energy_discrepancy, samples: 19}",), 25, 0.006
    ),
    "concrete_score_matching": Method(
        ("loss={type: concrete_score_matching, epsilon: 0.01, sites: 4}",), 100, 0.002
    ),
}


def job(method: str, toy: str, seed: int) -> Job:
    """The run of a method on a toy."""
    own, events, lr = METHODS[method]
    n = math.ceil(STEPS * events / (1 - HOLDOUT))
    overrides = (
        f"data={{type: gray_code, toy: {toy}, bits: 16, n: {n}, holdout: {HOLDOUT}}}",
        *own,
        f"train={{steps: {STEPS}, batch_size: {events}, ema: 0.995, clip_grad_norm: 3.0}}",
        f"optimizer={{type: Adam, lr: {lr}, betas: [0.9, 0.99], fused: true}}",
        "lr_scheduler={type: LinearLR, start_factor: 1.0, end_factor: 0.02, "
        f"total_iters: {STEPS}, interval: step}}",
        "monitors=[{type: exact_likelihood, every: end}]",
    )
    return Job(method, toy, seed, CONFIG, overrides)


def jobs() -> list[Job]:
    """All runs, one seed of everything first."""
    return [job(method, toy, seed) for seed in SEEDS for method in METHODS for toy in TOYS]


def table(found: Found) -> list[str]:
    """The table of docs/guides/discrete.md: a row for each method, the KL on each toy in nats."""
    lines = [f"| method | {' | '.join(TOYS)} |", f"| --- |{' --- |' * len(TOYS)}"]
    for method in METHODS:
        cells = [_cell(found, [job(method, toy, seed) for seed in SEEDS]) for toy in TOYS]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return lines


def _cell(found: Found, runs: list[Job]) -> str:
    done = found.finished(runs)
    if len(done) == 1:
        kl = done[0]["metrics"][KL]
        return f"{kl:.3f} ¹" if kl < 1000 else f"{kl:.1e} ¹"
    return found.cell(KL, runs)


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
    parser.add_argument("--workers", type=int, default=1)
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
