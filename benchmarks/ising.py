"""Ising models judged exactly: `python benchmarks/ising.py`.

`log_z` estimates log Z of five tori of spins, by sequential Monte Carlo from the uniform law with
`gibbs` (in blocks: two sets of spins, one after the other) or `gibbs_with_gradients` as the move,
beside the transfer matrix's exact number, in seconds of CPU on one thread.

`couplings` learns J of all pairs of 100 spins from 2,000 exact draws of tori of 10 by 10, and of a
random graph with two neighbours a spin and J ~ N(0, 1/2) on its edges, as in Grathwohl et al. 2021:
256 chains, batches of 256, an L1 penalty of .01 on J. Persistent contrastive divergence with
`gibbs_with_gradients` and with `gibbs` of spins chosen at random has the same number of evaluations
a step, a gradient counted as one; pseudo-likelihood has no chains. Here are 3,000 steps of Adam
from .003 to 2 % of it, there 10,000 steps of .001. It trains no run again that
benchmarks/results/ising.jsonl holds; `--table` prints these alone.
"""

from __future__ import annotations

import argparse
import math
import time
from statistics import fmean

import torch
from ebmcore_discrete import Gibbs, GibbsWithGradients, Ising
from ebmcore_estimators import Uniform, smc
from grid import RESULTS, Found, Job, Spread, run_all

import ebmcore

TORI = ((4, 0.2), (8, 0.1), (8, 0.2), (8, 0.25), (10, 0.1))
CONFIG = "examples/ising.yaml"
FILE = "ising.jsonl"
SEEDS = (0, 1)
STEPS = 3000
RMSE = "couplings/rmse"
TORUS = "{{type: ising_draws, shape: [10, 10], sigma: {sigma}, n: 2000, holdout: 0.0}}"
DATA = {
    "torus, J .1": TORUS.format(sigma=0.1),
    "torus, J .25": TORUS.format(sigma=0.25),
    "random graph": "{type: ising_draws, shape: [100], graph: random, strengths: normal, "
    f"sigma: {math.sqrt(0.5)}, n: 2000, holdout: 0.0}}",
}
PENALTY = "{type: l1_parameters, weight: 0.02}"  # each pair once, where the paper's counts it twice
PCD = f"loss=[contrastive_divergence, {PENALTY}]"


METHODS = {
    # 10 evaluations of the chains: 9 gradients and one to begin, or two for each of 5 spins
    "PCD, gibbs_with_gradients": (PCD, "sampler={type: gibbs_with_gradients, n_steps: 9}"),
    "PCD, gibbs": (PCD, "sampler={type: gibbs, scan: random, draws: 5, n_steps: 1}"),
    "pseudo_likelihood": (f"loss=[pseudo_likelihood, {PENALTY}]",),
}


def job(method: str, data: str, seed: int) -> Job:
    """Return the run of a method on some data."""
    overrides = (
        f"data={DATA[data]}",
        *METHODS[method],
        "chains={type: persistent, size: 256}",
        "optimizer={type: Adam, lr: 0.003}",
        "lr_scheduler={type: LinearLR, start_factor: 1.0, end_factor: 0.02, total_iters: 400}",
        f"train={{steps: {STEPS}, batch_size: 256}}",
        "monitors=[{type: couplings, every: end}]",
    )
    return Job(method, data, seed, CONFIG, overrides)


def jobs() -> list[Job]:
    """Return all runs, one seed of everything first."""
    return [job(method, data, seed) for seed in SEEDS for method in METHODS for data in DATA]


def table(found: Found) -> list[str]:
    """Return the table: log RMSE of J, natural, and the seconds of CPU, over seeds."""
    lines = [f"| method | {' | '.join(DATA)} | CPU s |"]
    lines.append("| --- |" + " --- |" * (len(DATA) + 1))
    for method in METHODS:
        cells, seconds = [], []
        for data in DATA:
            done = found.finished([job(method, data, seed) for seed in SEEDS])
            spread = Spread.of(math.log(entry["metrics"][RMSE]) for entry in done)
            cells.append("not measured" if spread is None else spread.text(2))
            seconds += [entry["cpu_seconds"] for entry in done]
        lines.append(f"| {method} | {' | '.join(cells)} | {_mean(seconds)} |")
    return lines


def _mean(seconds: list[float]) -> str:
    return f"{fmean(seconds):.0f}" if seconds else "not measured"


def log_z(seeds: int) -> None:
    """Print the table of log Z."""
    torch.set_num_threads(1)
    print("| torus | J | exact | move | estimate | error | CPU s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for side, sigma in TORI:
        model = Ising(sigma=sigma, learns="none", field=False, event_shape=(side, side)).eval()
        exact = float(model.log_z())
        moves = {
            "gibbs": {"kernel": Gibbs("blocks"), "n": 4096, "steps": 200},
            "gibbs_with_gradients": {
                "kernel": GibbsWithGradients(), "moves": side, "n": 1024, "steps": 200,
            },
        }  # fmt: skip
        for name, how in moves.items():
            for seed in range(seeds):
                began = time.process_time()
                base = Uniform((side, side), ebmcore.Binary())
                generator = torch.Generator().manual_seed(seed)
                found = smc(model, base, generator=generator, **how)
                print(
                    f"| {side}×{side} | {sigma} | {exact:.4f} | {name} | {found.log_z:.4f} ± "
                    f"{found.standard_error:.4f} | {found.log_z - exact:+.4f} | "
                    f"{time.process_time() - began:.1f} |",
                    flush=True,
                )


def main() -> None:
    """Print both tables, running what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", nargs="*", choices=[[], "log_z", "couplings"], metavar="PART")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=METHODS, default=(), metavar="METHOD")
    parser.add_argument("--seeds", type=int, default=1, help="of log_z")
    parser.add_argument("--table", action="store_true", help="print what is there, run nothing")
    given = parser.parse_args()
    parts = given.part or ["log_z", "couplings"]
    if "log_z" in parts and not given.table:
        log_z(given.seeds)
    if "couplings" in parts:
        if not given.table:
            run_all(jobs(), RESULTS / FILE, given.workers, given.only)
        print("\n".join(table(Found(FILE))))


if __name__ == "__main__":
    main()
