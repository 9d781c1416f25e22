"""Effective draws a second of `nuts`, `hmc`, `underdamped` and their peers, one thread, in turns.

    pip install blackjax jax ebmkit, beside ebmcore and torch
    python benchmarks/mixing.py [gaussian logistic mlp] [--without hmc underdamped]

All batch 100 chains in double precision; ours and blackjax are compiled, ebmkit is eager. Ours warm
up, which isn't counted; the peers get the same step sizes and masses, so that the kernels are
compared and not their adaptation. A kernel without masses moves x/√M⁻¹, and so does `underdamped`;
its peer in blackjax is `ghmc`, one leapfrog step a draw with a momentum that persists, too. They
take turns of 40 draws, of those two of 8 gradients each, and the CPU seconds of the process count.
The effective draws are the least over the numbers of an event and their squares, as
`ebmcore_monitors.ess_mean` has them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import torch
from ebmcore_hmc import HMC, NUTS
from ebmcore_langevin import Underdamped
from ebmcore_monitors import ess_mean
from torch import Tensor, nn

from ebmcore.compile.chains import compiled_kernel
from ebmcore.sampling import Walk

RESULTS = Path(__file__).parent / "results" / "mixing.jsonl"
CHAINS, TURNS, STEPS, WARM_UP, LEAPFROG = 100, 5, 40, 300, 8
CPU = torch.device("cpu")


try:
    import ebm
except ImportError:
    ebm = None


class Energy(nn.Module):
    """An energy of torch; its tensors are parameters, which a compiled graph takes in place."""

    def __init__(self, function: Callable[..., Tensor], *tensors: Tensor) -> None:
        super().__init__()
        self.function = function
        self.tensors = nn.ParameterList(nn.Parameter(t, requires_grad=False) for t in tensors)

    def forward(self, x: Tensor) -> Tensor:
        """Return E(x)."""
        return self.function(x, *self.tensors)


def gaussian() -> tuple[Energy, Any, int]:
    """100 dimensions, turned, variances from 10⁻³ to 1: no diagonal mass helps."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(100, 100)))[0]
    root = turn * np.logspace(1.5, 0, 100)
    energy = Energy(lambda x, root: 0.5 * (x @ root).square().sum(1), torch.tensor(root))
    there = jnp.asarray(root)
    return energy, lambda x: -0.5 * jnp.square(x @ there).sum(), 100


def logistic() -> tuple[Energy, Any, int]:
    """Breast cancer, 569 rows, 30 standardised columns and an intercept, prior N(0, 1)."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    columns = (data.data - data.data.mean(0)) / data.data.std(0)
    design, y = np.concatenate([np.ones((569, 1)), columns], 1), data.target.astype(float)

    def of_torch(b: Tensor, design: Tensor, y: Tensor) -> Tensor:
        logits = b @ design.T
        lost = nn.functional.softplus(logits) - y * logits
        return lost.sum(1) + 0.5 * b.square().sum(1)

    there, label = jnp.asarray(design), jnp.asarray(y)

    def of_jax(b: Any) -> Any:
        logits = there @ b
        return -(jax.nn.softplus(logits) - label * logits).sum() - 0.5 * jnp.square(b).sum()

    return Energy(of_torch, torch.tensor(design), torch.tensor(y)), of_jax, 31


def mlp() -> tuple[Energy, Any, int]:
    """A net 10-64-64-1 with ½‖x‖²/4, trained by denoising score matching on a bent Gaussian."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(10, 64), (64,), (64, 64), (64,), (64, 1)]
    weights = [
        torch.randn(shape, generator=generator, dtype=torch.float64) / shape[0] ** 0.5
        for shape in shapes
    ]

    def of_torch(x: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor) -> Tensor:
        hidden = nn.functional.silu(nn.functional.silu(x @ a + b) @ c + d)
        return (hidden @ e)[:, 0] + x.square().sum(1) / 8

    trained = [weight.requires_grad_() for weight in weights]
    optimizer = torch.optim.Adam(trained, lr=3e-3)
    for _ in range(600):
        z = torch.randn(256, 10, generator=generator, dtype=torch.float64)
        data = torch.cat([z[:, :5], 0.5 * z[:, 5:] + 0.7 * (z[:, :5].square() - 1)], 1)
        noise = torch.randn(256, 10, generator=generator, dtype=torch.float64)
        x = (data + 0.3 * noise).requires_grad_()
        (slope,) = torch.autograd.grad(of_torch(x, *trained).sum(), x, create_graph=True)
        loss = (0.3 * slope - noise).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = [weight.detach() for weight in trained]
    a, b, c, d, e = (jnp.asarray(weight.numpy()) for weight in weights)

    def of_jax(x: Any) -> Any:
        hidden = jax.nn.silu(jax.nn.silu(x @ a + b) @ c + d)
        return -(hidden @ e)[0] - jnp.square(x).sum() / 8

    return Energy(of_torch, *weights), of_jax, 10


def effective(x: Tensor) -> float:
    """Return the least effective number of draws of (steps, chains, d), and of their squares."""
    squares = (x - x.mean((0, 1))).square()
    return min(ess_mean(numbers) or 0.0 for part in (x, squares) for numbers in part.unbind(2))


class Ours:
    """A kernel of ours, compiled, whose chains go on from turn to turn."""

    def __init__(self, kernel: Any, energy: nn.Module, start: Tensor, *, thin: int = 1) -> None:
        generator = torch.Generator().manual_seed(1)
        self.compiled = compiled_kernel(kernel, energy, every=True, device=CPU)
        total = WARM_UP + TURNS * STEPS * thin
        self.thin = thin
        self.walk = Walk(kernel, energy, start, generator, self.compiled, n_steps=total)
        self.walk.trace(WARM_UP, 1)
        if self.compiled.why:
            warnings.warn(self.compiled.why, stacklevel=1)

    def turn(self) -> Tensor:
        """Take a turn and return its points."""
        return self.walk.trace(STEPS * self.thin, self.thin).x


class Blackjax:
    """A kernel of blackjax, vmapped, scanned and compiled, from where ours was warm."""

    def __init__(self, kernel: Any, start: Tensor, *, thin: int = 1, seeded: bool = False) -> None:
        self.key, key = jax.random.split(jax.random.key(2))
        begin = (jnp.asarray(start.numpy()), jax.random.split(key, CHAINS))
        self.state = jax.vmap(kernel.init)(*begin[: 1 + seeded])

        def one(state: Any, key: Any) -> Any:
            state, _ = jax.vmap(kernel.step)(jax.random.split(key, CHAINS), state)
            return state, state.position

        def go(state: Any, key: Any) -> Any:
            state, x = jax.lax.scan(one, state, jax.random.split(key, STEPS * thin))
            return state, x[thin - 1 :: thin]

        self.go = jax.jit(go)
        self.turn()

    def turn(self) -> Tensor:
        """Take a turn and return its points."""
        self.key, key = jax.random.split(self.key)
        self.state, x = self.go(self.state, key)
        return torch.tensor(np.asarray(jax.block_until_ready(x)))


class Ebmkit:
    """A kernel of ebmkit, from where ours was warm; `underdamped` begins each turn at rest."""

    def __init__(self, kernel: Any, energy: nn.Module, start: Tensor, *, thin: int = 1) -> None:
        self.kernel, self.energy, self.x, self.thin = kernel, energy, start, thin

    def turn(self) -> Tensor:
        """Take a turn and return its points."""
        steps = STEPS * self.thin
        x = self.kernel.sample(self.energy, self.x, steps=steps, return_trajectory=True)
        self.x = x[-1]
        return x[self.thin :: self.thin]


def runs_of(name: str, without: list[str]) -> dict[str, Any]:
    """Warm the kernels up on one target."""
    energy, log_density, d = {"gaussian": gaussian, "logistic": logistic, "mlp": mlp}[name]()
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(CHAINS, d, generator=generator, dtype=torch.float64)
    nuts = Ours(NUTS(warm_up=WARM_UP), energy, start)
    state = nuts.walk.state
    step, scale, there = float(state.step_size[0]), state.scale[0], state.x
    inverse, root = jnp.asarray(scale.square().numpy()), jnp.asarray(scale.numpy())
    scaled = Energy(lambda z, scale: energy(scale * z), scale)
    runs: dict[str, Any] = {"nuts": nuts}
    runs["nuts, blackjax"] = Blackjax(blackjax.nuts(log_density, step, inverse), there)
    if ebm:
        kernel = ebm.NUTS(step, warmup=0)
        runs["nuts, ebmkit"] = Ebmkit(kernel, scaled, there / scale)
    if "hmc" not in without:
        runs["hmc"] = hmc = Ours(HMC(step, leapfrog=LEAPFROG, warm_up=WARM_UP), energy, there)
        state = hmc.walk.state
        length, own = float(state.step_size[0]), state.scale[0]
        mass = jnp.asarray(own.square().numpy())
        kernel = blackjax.hmc(log_density, length, mass, LEAPFROG)
        runs["hmc, blackjax"] = Blackjax(kernel, there)
        if ebm:
            whitened = Energy(lambda z, own: energy(own * z), own)
            kernel = ebm.HMC(length, leapfrog_steps=LEAPFROG)
            runs["hmc, ebmkit"] = Ebmkit(kernel, whitened, there / own)
    if "underdamped" not in without:
        h, z, thin = 0.5 * step, there / scale, LEAPFROG
        forgets = 1 - float(np.exp(-2 * h))  # friction 1
        runs["underdamped"] = Ours(Underdamped(h), scaled, z, thin=thin)
        kernel = blackjax.ghmc(lambda z: log_density(root * z), h, 1.0, forgets, forgets / 2)
        runs["underdamped, blackjax"] = Blackjax(kernel, z, thin=thin, seeded=True)
        if ebm:
            kernel = ebm.UnderdampedLangevin(h)
            runs["underdamped, ebmkit"] = Ebmkit(kernel, scaled, z, thin=thin)
    return runs


def measured(name: str, without: list[str]) -> list[dict[str, Any]]:
    """Run the kernels on one target, in turns."""
    runs = runs_of(name, without)
    seconds, draws = dict.fromkeys(runs, 0.0), {key: [] for key in runs}
    for _ in range(TURNS):
        for key, run in runs.items():
            began = time.process_time()
            draws[key].append(run.turn())
            seconds[key] += time.process_time() - began
    rows: list[dict[str, Any]] = []
    for key in runs:
        ess = effective(torch.cat(draws[key]))
        row = {"target": name, "kernel": key, "ess": ess, "cpu_seconds": seconds[key],
               "ess_per_second": ess / seconds[key]}  # fmt: skip
        rows.append(row)
        print(f"| {name} | {key} | {ess:,.0f} | {seconds[key]:.2f} | {ess / seconds[key]:,.0f} |",
              flush=True)  # fmt: skip
    return rows


def main() -> None:
    """Measure the targets that are named, or all, and write all of them."""
    torch.set_num_threads(1)
    jax.config.update("jax_enable_x64", True)
    print(
        "| target | kernel | effective draws | CPU s | a second |\n| --- | --- | --- | --- | --- |"
    )
    parser = argparse.ArgumentParser(description="effective draws a second")
    parser.add_argument("targets", nargs="*", default=["gaussian", "logistic", "mlp"])
    parser.add_argument("--without", nargs="*", default=[], choices=["hmc", "underdamped"])
    asked = parser.parse_args()
    if ebm is None:
        print("ebmkit isn't installed: it has no rows", file=sys.stderr)
    rows = [row for name in asked.targets for row in measured(name, asked.without)]
    RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
