"""`examples/any_plane.yaml` on eight densities, unchanged: `python benchmarks/planes.py`.

Trains it with three seeds on 10,000 points of each, two runs at a time, each in a process of its
own on one thread, and judges it by the KL of the exact density to the model's, by quadrature. Most
of the shapes are thin: a noise of .05 on a spread of about 1. A run that is in
benchmarks/results/planes.jsonl already is not trained again; `python benchmarks/pages.py` then
writes the table of docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import math
from statistics import median

from grid import RESULTS, Found, Job, run_all

CONFIG = "examples/any_plane.yaml"
SEEDS = (0, 1, 2)
KL = "exact_likelihood/kl"
HELD_OUT = "exact_likelihood/kl_held_out"
CIRCLE = [2 * math.pi * k / 8 for k in range(8)]
MODES = [[round(math.cos(angle), 6), round(math.sin(angle), 6)] for angle in CIRCLE]
DENSITIES = {
    "checkerboard": "{type: checkerboard, side: 1.0, std: 0.05",
    "two spirals": "{type: two_spirals, radius: 1.5, turns: 1.5, std: 0.05",
    "banana": "{type: banana, std: 0.07",
    "moons": "{type: moons, radius: 1.0, std: 0.05",
    "pinwheel": "{type: pinwheel, radius: 1.0, radial_std: 0.3, tangential_std: 0.1",
    "five Gaussians": "{type: gaussian_mixture, std: 0.3",
    "three rings": "{type: rings, radii: [0.5, 1.0, 1.5], std: 0.05",
    "eight modes": f"{{type: gaussian_mixture, std: 0.05, centers: {MODES}",
}


def job(name: str, seed: int) -> Job:
    """The run of a density."""
    data = f"data={DENSITIES[name]}, n: 12500, holdout: 0.2, transform: [{{type: standardise}}]}}"
    plugin = ("plugins={files: [../benchmarks/banana.py]}",) if name == "banana" else ()
    monitors = "monitors=[{type: exact_likelihood, every: end}]"
    return Job("any plane", name, seed, CONFIG, (data, *plugin, monitors))


def jobs() -> list[Job]:
    """All runs, one seed of every density first."""
    return [job(name, seed) for seed in SEEDS for name in DENSITIES]


def table(found: Found) -> list[str]:
    """The table of docs/benchmark.md."""
    lines = ["| density | KL(data‖model), nats | on held-out points |", "| --- | --- | --- |"]
    for name in DENSITIES:
        runs = [job(name, seed) for seed in SEEDS]
        lines.append(f"| {name} | {found.cell(KL, runs)} | {found.cell(HELD_OUT, runs)} |")
    return lines


def figures(found: Found) -> dict[str, str]:
    """The largest KL of all runs, and the median over the densities of the medians over seeds."""
    kls = {
        name: [e["metrics"][KL] for e in found.finished(job(name, seed) for seed in SEEDS)]
        for name in DENSITIES
    }
    done = [each for each in kls.values() if each]
    if not done:
        return {}
    return {
        "planes, largest": f"{max(map(max, done)):.3f}",
        "planes, median": f"{median(map(median, done)):.3f}",
    }


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    run_all(jobs(), RESULTS / "planes.jsonl", parser.parse_args().workers)


if __name__ == "__main__":
    main()
