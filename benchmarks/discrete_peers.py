"""Effective draws a second of discrete samplers beside ebmkit's, one thread, in turns.

    pip install --no-deps ebmkit, beside ebmcore and torch
    python benchmarks/discrete_peers.py [ising "rbm 64" "rbm 784"]

Both libraries sample the same law from the same points: an Ising torus of 10 by 10 spins with
J = .1, whose energy ebmkit's sampler is given, too; a restricted Boltzmann machine of 64 and 12
bits trained on digits, and one of 784 and 500 bits with random weights, each by its own class. They
take turns, and the CPU seconds of the process count. Compiling isn't counted, and stated. Effective
draws are those of `ebmcore_monitors.ess_mean`, of the energy and of a fixed statistic: the sum of
the spins, half of which count negatively for the machines. The smaller one counts.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ebm
import torch
from ebmcore_discrete import RBM, BlockGibbs, Gibbs, GibbsWithGradients, Ising
from ebmcore_monitors import ess_mean
from log_z import digits_rbm
from torch import Tensor, nn

from ebmcore.compile.chains import compiled_kernel
from ebmcore.sampling import Walk

RESULTS = Path(__file__).parent / "results" / "discrete_peers.jsonl"
CHAINS, TURNS, GRAPH = 100, 5, 20  # steps of a compiled graph
CPU = torch.device("cpu")


class Target(NamedTuple):
    """A law, the samplers to compare on it, and how long they run."""

    energy: nn.Module
    signs: Tensor  # of the fixed statistic, (numbers,)
    pairs: dict[str, tuple[Any, Any]]  # a kernel of ours, and a sampler of theirs or None
    of_theirs: nn.Module
    steps: int  # of a turn
    thin: int


def targets() -> dict[str, Callable[[], Target]]:
    """Return the targets, each made when it is asked for."""
    return {"ising": ising, "rbm 64": lambda: machine(digits_rbm(0)[0], 300),
            "rbm 784": lambda: machine(RBM(500, scale=0.05, event_shape=(784,)), 60)}  # fmt: skip


def ising() -> Target:
    """Return the torus, with a sampler of ours that ebmkit has no match for."""
    model = Ising(sigma=0.1, learns="none", field=False, event_shape=(10, 10)).eval()
    pairs = {
        "gibbs_with_gradients": (GibbsWithGradients(), ebm.GibbsWithGradients(1)),
        "gibbs, blocks": (Gibbs("blocks"), None),
    }
    return Target(model, torch.ones(100), pairs, model, 400, 10)


def machine(model: RBM, steps: int) -> Target:
    """Return a restricted Boltzmann machine."""
    hidden, visible = model.weight.shape
    theirs = ebm.nets.RBM(visible, hidden)
    with torch.no_grad():
        theirs.W.copy_(model.weight)
        theirs.b.copy_(model.visible_bias)
        theirs.c.copy_(model.hidden_bias)
    signs = torch.ones(visible)
    signs[::2] = -1
    pairs = {
        "gibbs_with_gradients": (GibbsWithGradients(), ebm.GibbsWithGradients(1)),
        "block_gibbs": (BlockGibbs(hidden), ebm.GibbsSampler(1)),
    }
    return Target(model.eval(), signs, pairs, theirs.eval(), steps, 1)


class Ours:
    """A kernel of ours, whose chains go on from turn to turn."""

    def __init__(self, kernel: Any, energy: nn.Module, start: Tensor, *, compiled: bool) -> None:
        generator = torch.Generator().manual_seed(1)
        graph = compiled_kernel(kernel, energy, every=True, device=CPU) if compiled else None
        self.walk = Walk(kernel, energy, start, generator, graph, n_steps=10**6)
        began = time.process_time()
        self.walk.trace(GRAPH, 1)
        self.compiling = time.process_time() - began if compiled else 0.0
        if graph is not None and graph.why:
            warnings.warn(graph.why, stacklevel=1)

    def turn(self, steps: int, thin: int) -> Tensor:
        """Take a turn and return its points."""
        return self.walk.trace(steps, thin).x


class Theirs:
    """A sampler of ebmkit, whose chains go on from turn to turn."""

    compiling = 0.0

    def __init__(self, sampler: Any, energy: nn.Module, start: Tensor) -> None:
        self.sampler = sampler
        self.energy = energy
        self.x = start

    def turn(self, steps: int, thin: int) -> Tensor:
        """Take a turn and return its points."""
        kept = []
        for _ in range(steps // thin):
            self.x = self.sampler.sample(self.energy, self.x, steps=thin)
            kept.append(self.x)
        return torch.stack(kept)


def effective(target: Target, draws: Tensor) -> float:
    """Return the smaller effective number of draws, (kept, chains, *event), of two statistics."""
    with torch.no_grad():
        energies = torch.stack([target.energy(x) for x in draws])
    spins = (2 * draws.flatten(2) - 1) @ target.signs
    return min(ess_mean(of.double()) or 0.0 for of in (energies, spins))


def measured(name: str) -> list[dict[str, Any]]:
    """Run the samplers on one target, in turns."""
    target = targets()[name]()
    generator = torch.Generator().manual_seed(0)
    shape = (CHAINS, *target.energy.event_shape)
    start = torch.randint(2, shape, generator=generator).float()
    rows = []
    for kind, (kernel, sampler) in target.pairs.items():
        runs: dict[str, Any] = {
            "ebmcore, compiled": Ours(kernel, target.energy, start, compiled=True),
            "ebmcore": Ours(kernel, target.energy, start, compiled=False),
        }
        if sampler is not None:
            runs["ebmkit"] = Theirs(sampler, target.of_theirs, start)
        seconds, draws = dict.fromkeys(runs, 0.0), {key: [] for key in runs}
        for turn in range(TURNS + 1):
            for key, run in runs.items():
                began = time.process_time()
                found = run.turn(target.steps, target.thin)
                if turn:  # the first one warms up
                    seconds[key] += time.process_time() - began
                    draws[key].append(found)
        for key, run in runs.items():
            ess = effective(target, torch.cat(draws[key]))
            row = {
                "target": name, "sampler": kind, "library": key, "ess": ess,
                "steps": TURNS * target.steps, "cpu_seconds": seconds[key],
                "compiling": run.compiling, "ms_per_draw": 1000 * seconds[key] / ess,
            }  # fmt: skip
            rows.append(row)
            print(
                f"| {name} | {kind} | {key} | {1e6 * seconds[key] / row['steps']:.0f} | {ess:,.0f} "
                f"| {row['ms_per_draw']:.3f} | {run.compiling:.0f} |",
                flush=True,
            )
    return rows


def main() -> None:
    """Measure the targets that are named, or all, and write them."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", default=list(targets()))
    asked = parser.parse_args().targets
    print("| target | sampler | library | µs a step | effective draws | ms a draw | compiling, s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    rows = [row for name in asked for row in measured(name)]
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
