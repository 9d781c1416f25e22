"""Estimates of log Z beside the exact ones: `python benchmarks/log_z.py`.

On one thread, for each target and seed: the estimate by `smc` with its standard error, the bracket
where one is asked for, the effective starts, and the seconds of CPU that they took, fitting the
path included. Of ManyWell-32 also the share of first coordinates above 0, by the walkers' weights.
The restricted Boltzmann machine is trained on the digits, thresholded at half, before: its log Z is
enumerated. `--run RUN` adds a run of yours, whose log Z isn't known: its bracket's width counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from ebmcore_analytic import Funnel, Gaussian, GaussianMixture, ManyWell
from ebmcore_discrete import RBM, BlockGibbs
from ebmcore_estimators import Base, LogZ, Uniform, bracket, smc
from ebmcore_estimators import Gaussian as GaussianBase
from torch import Tensor

import ebmcore

HEAD = "| target | exact | estimate | error | bracket | starts of walkers | steps | CPU s |"
RULE = "| --- | --- | --- | --- | --- | --- | --- | --- |"


class Target(NamedTuple):
    """An energy, where to begin, and how to estimate its log Z."""

    energy: Callable[[Tensor], Tensor]
    base: Base | Tensor
    log_z: float | None
    how: dict[str, Any]
    data: Tensor | None = None  # with data, a bracket


def targets(seed: int) -> dict[str, Target]:
    """Return the targets whose log Z is known."""
    generator = torch.Generator().manual_seed(1000 + seed)
    scales = [10 ** (-i / 10) for i in range(20)]
    centers = (4 * torch.randn(8, 10, generator=generator)).tolist()
    known = {
        "Gaussian, 20 numbers, condition 6e3": Gaussian((20,), mean=3.0, scale=scales),
        "funnel, 10 numbers, scale 1": Funnel((10,), scale=1.0),
        "funnel, 10 numbers, scale 3": Funnel((10,)),
        "8 Gaussians, 10 numbers": GaussianMixture(
            (10,), centers=centers, std=1.0, weights=list(range(1, 9))
        ),
    }
    found = {}
    for name, energy in known.items():
        data = energy.sample(1000, generator)
        found[name] = Target(energy.eval(), data, energy.log_z, {"n": 1024}, data)
    wells = ManyWell((32,)).eval()
    how = {"n": 8192, "steps": 100, "jumps": 4}
    found["ManyWell, 32 numbers"] = Target(
        wells, GaussianBase.standard((32,), scale=1.5), wells.log_z, how
    )
    rbm, bits = digits_rbm(seed)
    base = Uniform((64,), ebmcore.Binary())
    found["RBM of digits, 64 bits"] = Target(
        rbm, base, float(rbm.log_z().detach()), {"n": 256, "steps": 100}, bits
    )
    return found


def digits_rbm(seed: int) -> tuple[RBM, Tensor]:
    """Train a machine of 12 hidden bits on the digits by persistent contrastive divergence."""
    from ebmcore_datasets import Digits

    x = torch.as_tensor(Digits(scale="unit")()[0]).reshape(-1, 64)
    bits = (x > 0.5).float()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        rbm = RBM(12, event_shape=(64,))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(rbm.parameters(), lr=0.02)
    chains, kernel = bits[:200].clone(), BlockGibbs(12)
    for _ in range(500):
        rows = torch.randint(len(bits), (200,), generator=generator)
        chains = ebmcore.sample_chain(kernel, rbm, chains, n_steps=5, generator=generator)
        optimizer.zero_grad()
        (rbm(bits[rows]).mean() - rbm(chains).mean()).backward()
        optimizer.step()
    return rbm.eval(), bits


def of_run(path: str) -> Target:
    """Return the energy of a run and its training data, as the energy takes them."""
    run = ebmcore.load(path)
    rows = run.train_data.x
    data = run.transforms(rows, generator=torch.Generator().manual_seed(0))
    return Target(run.energy.eval(), data, None, {"n": 512}, data)


def row(name: str, target: Target, seed: int) -> str:
    """Estimate, and return a row of the table."""
    generator = torch.Generator().manual_seed(seed)
    began, found, ends = time.process_time(), None, ""
    if target.data is None:
        found = smc(target.energy, target.base, generator=generator, **target.how)
    else:
        both = bracket(
            target.energy, target.base, data=target.data, generator=generator, **target.how
        )
        found, ends = both.forward, f"{both.low:.3f} to {both.high:.3f}"
    seconds = time.process_time() - began
    exact = "" if target.log_z is None else f"{target.log_z:.4f}"
    error = "" if target.log_z is None else f"{found.log_z - target.log_z:+.3f}"
    return (
        f"| {name}{share_of(name, found)} | {exact} | {found.log_z:.3f} ± "
        f"{found.standard_error:.3f} | {error} | {ends} | {found.ess:.0f} of {len(found.x)} | "
        f"{found.path.steps} | {seconds:.1f} |"
    )


def share_of(name: str, found: LogZ) -> str:
    """Say the share of ManyWell's first coordinates that are above 0."""
    if not name.startswith("ManyWell"):
        return ""
    share = found.mean((found.x[:, ::2] > 0).double().mean(1))
    return f", P(a > 0) {share:.4f} (exact {ManyWell((32,)).share_right:.4f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--run", action="append", default=[], help="a run directory")
    parser.add_argument("--only", default="", help="targets whose name holds this")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(HEAD, RULE, sep="\n")
    for seed in range(given.seeds):
        chosen = targets(seed) | {path: of_run(path) for path in given.run}
        for name, target in chosen.items():
            if given.only in name:
                print(row(name, target, seed), flush=True)


if __name__ == "__main__":
    main()
