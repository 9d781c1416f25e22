"""Bits judged in the published setting: seven toys of 32 bits, `python benchmarks/gray32.py`.

Trains an MLP of three layers of 256 with swish, as published ratio matching does, by noise contrast
against independent bits, on events of which each is seen once. The nll is by importance sampling
from the exact law of the data (`importance.py`), beside that law's entropy, below which no nll can
be; the maximum mean discrepancies compare 4,000 samples of the model with 4,000 of the data. Chains
of the samples begin at noise. It trains no run again that benchmarks/results/gray32.jsonl holds;
`--table` prints these alone. It ends with an error that names the run if a nll is below its floor
by more than its error, if the samples and the proposal disagree about log Z, or if the linear
discrepancy is above 0.01, in published units: k = bits that agree, twice that of k = xᵀy.
"""

from __future__ import annotations

import argparse
import math
import sys

from grid import RESULTS, Found, Job, run_all

CONFIG = "examples/gray_toys.yaml"
FILE = "gray32.jsonl"
NLL = "ImportanceLikelihood/"
METHOD = "noise_contrastive"
SEEDS = (0,)
TOYS = ("2spirals", "8gaussians", "circles", "moons", "pinwheel", "swissroll", "checkerboard")
STEPS = 8000
BATCH = 128
HELD_OUT = 4000
SAMPLE_STEPS = 100
ASKED = 0.01  # linear discrepancy at most
ERRORS = 4  # standard errors that are not chance
PUBLISHED = dict(
    zip(TOYS, (0.00876, 0.08414, 0.10230, 0.02787, 0.26188, 0.04477, 0.00026), strict=True)
)


def job(toy: str, seed: int) -> Job:
    """The run of a toy."""
    n = STEPS * BATCH + HELD_OUT
    overrides = (
        f"data={{type: gray_code, toy: {toy}, bits: 32, n: {n}, holdout: {HELD_OUT / n!r}}}",
        "loss={type: noise_contrastive}",
        "optimizer={type: Adam, lr: 0.005}",
        f"lr_scheduler={{type: SequentialLR, interval: step, milestones: [{STEPS // 4}], "
        "schedulers: [{type: ConstantLR, factor: 1.0}, {type: LinearLR, start_factor: 1.0, "
        f"end_factor: 0.01, total_iters: {STEPS - STEPS // 4}}}]}}",
        f"train={{steps: {STEPS}, batch_size: {BATCH}, ema: 0.999}}",
        "sampler={type: parallel_tempering, temperatures: [1, 2, 4], "
        "kernel: {type: dmala, step_size: 0.5}, n_steps: 1}",
        "chains=noise",
        "plugins={modules: [importance]}",
        "monitors=["
        f'{{type: "importance:ImportanceLikelihood", n_steps: {SAMPLE_STEPS}}}, '
        f"{{type: mmd, n: {HELD_OUT}, n_steps: {SAMPLE_STEPS}, permutations: 99}}]",
    )
    return Job(METHOD, toy, seed, CONFIG, overrides)


def jobs() -> list[Job]:
    """All runs, one seed of everything first."""
    return [job(toy, seed) for seed in SEEDS for toy in TOYS]


def table(found: Found) -> list[str]:
    """The table: a row for each run, likelihoods in nats."""
    lines = [
        "| toy | floor | nll - floor | effective draws | linear MMD, its null (published) "
        "| exp-Hamming MMD, its null |",
        f"|{' --- |' * 6}",
    ]
    for entry in found.finished(jobs()):
        of, toy = entry["metrics"], entry["column"]
        lines.append(
            f"| {toy} | {of[NLL + 'entropy']:.3f} | {of[NLL + 'kl']:.4f} ± "
            f"{of[NLL + 'kl_error']:.4f} | {of[NLL + 'ess']:,.0f} | {2 * of['mmd/linear']:.4f}, "
            f"{2 * of['mmd/linear_null']:.4f} ({PUBLISHED[toy]:.5f}) | {of['mmd/hamming']:.1e}, "
            f"{of['mmd/hamming_null']:.1e} |"
        )
    return lines


def wrong(found: Found) -> list[str]:
    """Name the runs with a number that can't be, or that isn't what is asked for."""
    lines = []
    for entry in found.finished(jobs()):
        of, name = entry["metrics"], f"{entry['column']}, seed {entry['seed']}"
        gap, error = of[NLL + "kl"], of[NLL + "kl_error"]
        if not gap >= -ERRORS * error:
            lines.append(f"{name}: the nll is {-gap:.4f} ± {error:.4f} nats below its floor")
        apart = of[NLL + "log_z_samples"] - of[NLL + "log_z"]
        error = math.hypot(of[NLL + "log_z_samples_error"], of[NLL + "log_z_error"])
        if not abs(apart) <= ERRORS * error:
            lines.append(
                f"{name}: log Z of the samples is {apart:+.4f} ± {error:.4f} nats from the "
                "proposal's"
            )
        if not 2 * of["mmd/linear"] <= ASKED:
            lines.append(f"{name}: the linear MMD is {2 * of['mmd/linear']:.4f}, over {ASKED}")
    return lines


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    given = parser.parse_args()
    if not given.table:
        run_all(jobs(), RESULTS / FILE, given.workers)
    found = Found(FILE)
    print("\n".join(table(found)))
    if lines := wrong(found):
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
