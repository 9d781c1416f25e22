"""Losses judged by the same KL on five Gaussians: `python benchmarks/methods.py`.

Trains each method with three seeds, two at a time: with one network and one budget, and as its own
config is. It trains no run again that benchmarks/results/methods.jsonl holds;
`python benchmarks/pages.py` then writes docs/methods.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grid import RESULTS, ROOT, Found, Job, run_all

from ebmcore.config import read_config

KL = "exact_likelihood/kl"
GAP = "train/energy_gap"
COUNTS = ("train/gradient_evaluations", "train/energy_evaluations")
SEEDS = range(3)
EPOCHS = 40
JUDGE = "{type: exact_likelihood, every: end}"
MONITORS = f"monitors=[{JUDGE}, {{type: landscape, every: end}}, {{type: advice, every: 5 epochs}}]"
ROWS = {
    "PCD": "examples/methods/pcd.yaml",
    "PCD, regularised and clipped": "examples/methods/regularised.yaml",
    "CD-1": "examples/methods/contrastive_divergence.yaml",
    "short-run MCMC from noise": "examples/methods/short_run.yaml",
    "improved CD": "examples/methods/improved_cd.yaml",
    "score matching, exact trace": "examples/methods/score_matching.yaml",
    "sliced score matching": "examples/methods/sliced_score_matching.yaml",
    "denoising score matching": "examples/methods/denoising_score_matching.yaml",
    "noise-contrastive": "examples/methods/noise_contrastive.yaml",
    "energy discrepancy": "examples/methods/energy_discrepancy.yaml",
}
# the main example; and one whose energy takes the noise level beside x, so that it has its own net
OWN = {
    "PCD": ROWS["PCD"],
    "PCD, chains with leaps": "examples/five_gaussians.yaml",
    **ROWS,
    "multilevel denoising": "examples/noise_levels.yaml",
}
# two samplers of one config, with as many evaluations of the energy a step
FAR = "examples/far_modes.yaml"
SAMPLERS = {
    "PCD with parallel tempering": (),
    "PCD": ("sampler={type: langevin, step_size: 0.01, n_steps: 24}",),
}


def protocol(length: str, epochs: int) -> tuple[str, ...]:
    """One network, one budget: the loss, the sampler, the chains, the clipping stay each method's.

    `length` is the budget as an override of `train`, `epochs` how long the learning rate falls.
    """
    return (
        "energy={type: sum, terms: [{type: mlp, hidden: [128, 128], activation: silu}, "
        "{type: gaussian, scale: 2.0}]}",
        "optimizer={type: Adam, lr: 2.0e-3}",
        "lr_scheduler={type: LinearLR, start_factor: 1.0, end_factor: 0.05, "
        f"total_iters: {epochs}}}",
        length,
        "train.batch_size=128",
        "train.ema=0.999",
    )


def shared(row: str, seed: int) -> Job:
    """The run of a method with the shared network and budget."""
    budget = protocol(f"train.epochs={EPOCHS}", EPOCHS)
    return Job(row, "shared", seed, ROWS[row], (*budget, f"monitors=[{JUDGE}]"))


def own(row: str, seed: int) -> Job:
    """The run of a method's config as it is, but for its monitors."""
    return Job(row, "own", seed, OWN[row], (MONITORS,), "" if seed else Path(OWN[row]).stem)


def far(row: str, seed: int) -> Job:
    """The run of a sampler on modes twice as far apart."""
    return Job(f"{row}, far modes", "far", seed, FAR, (*SAMPLERS[row], f"monitors=[{JUDGE}]"))


def jobs() -> list[Job]:
    """All runs of the tables; one that serves two is its own config's, and leaves pictures."""
    each = [own(row, seed) for seed in SEEDS for row in OWN]
    others = [shared(row, seed) for seed in SEEDS for row in ROWS]
    return [*each, *others, *(far(row, seed) for seed in SEEDS for row in SAMPLERS)]


def tables(found: Found) -> dict[str, list[str]]:
    """The tables of docs/methods.md."""
    one = ["| method | KL, nats | gradients a step | gradients |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        runs = [shared(row, seed) for seed in SEEDS]
        cells = (row + found.mark(runs), found.cell(KL, runs), *_gradients(found, runs))
        one.append(f"| {' | '.join(cells)} |")
    each = [
        "| method | config | network | steps | KL, nats | gradients |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row, config in OWN.items():
        runs = [own(row, seed) for seed in SEEDS]
        link = f"[{config.rpartition('/')[2]}](../{config})"
        network = _network(read_config(ROOT / config).tree["energy"])
        steps = f"{done[0]['steps']:,}" if (done := found.finished(runs)) else ""
        cells = (
            row + found.mark(runs),
            link,
            network,
            steps,
            found.cell(KL, runs),
            _gradients(found, runs)[1],
        )
        each.append(f"| {' | '.join(cells)} |")
    two = [
        "| method | KL, nats | gradients, a point at a time | energies, a point at a time |",
        "| --- | --- | --- | --- |",
    ]
    for row in SAMPLERS:
        runs = [far(row, seed) for seed in SEEDS]
        done = found.finished(runs)
        counts = [f"{done[0]['metrics'][name]:,.0f}" if done else "" for name in COUNTS]
        two.append(f"| {' | '.join((row + found.mark(runs), found.cell(KL, runs), *counts))} |")
    return {"methods, one network": one, "methods, own configs": each, "methods, far modes": two}


def figures(found: Found) -> dict[str, str]:
    """The KLs of the tables one by one, for running text."""
    named = {}
    for table, job, rows in (
        ("one network", shared, ROWS),
        ("own config", own, OWN),
        ("far modes", far, SAMPLERS),
    ):
        for row in rows:
            runs = [job(row, seed) for seed in SEEDS]
            named[f"{row}, {table}"] = found.figure(KL, runs)
            spread = found.spread(KL, runs)
            if spread is not None:
                named[f"{row}, {table}, range"] = f"{spread.low:.3f} to {spread.high:.3f}"
            done = [entry["metrics"] for entry in found.finished(runs)]
            gaps = [abs(metrics[GAP]) for metrics in done if GAP in metrics]
            if gaps:
                named[f"{row}, {table}, gaps"] = f"{min(gaps):.2f} to {max(gaps):.2f}"
    number, change = found.again(KL)
    return {**named, "methods, runs again": str(number), "methods, change": f"{change:.1e}"}


def _gradients(found: Found, runs: Sequence[Job]) -> tuple[str, str]:
    """Gradients a step and in all; the monitors' own, fewer than one a step, are left out."""
    done = found.finished(runs)
    if not done:
        return "", ""
    each = done[0]["gradients"] // done[0]["steps"]
    return str(each), f"{each * done[0]['steps']:,}"


def _network(energy: Mapping[str, Any]) -> str:
    """The network of an energy, as a row names it."""
    if energy["type"] == "sum":
        return " + ".join(_network(term) for term in energy["terms"])
    if energy["type"] == "noise_conditional":
        return f"{_network(energy['net'])}, {energy['levels']} noise levels"
    if energy["type"] == "mlp":
        return f"{energy['activation']} {'-'.join(map(str, energy['hidden']))}"
    return str(energy["type"])


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", nargs="+", choices=[job.row for job in jobs()], default=(), metavar="ROW"
    )
    parser.add_argument("--again", action="store_true", help="what earlier code trained, too")
    given = parser.parse_args()
    run_all(jobs(), RESULTS / "methods.jsonl", given.workers, given.only, again=given.again)


if __name__ == "__main__":
    main()
