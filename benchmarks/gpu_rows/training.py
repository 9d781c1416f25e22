"""Whole training steps of persistent contrastive divergence: that none waits, and their time."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from ebmcore_chains import Persistent
from ebmcore_langevin import Langevin
from ebmcore_losses import contrastive_divergence
from ebmcore_nets import MLP
from speed import plain
from speed.work import Work

import ebmcore
from ebmcore.compile.graph import Limits
from ebmcore.compile.step import CompiledStep
from ebmcore.config import read_train
from ebmcore.train import Interrupts
from ebmcore.train.loop import Loop
from ebmcore.train.step import TrainStep
from gpu_rows.bench import Bench

STEP_SIZE = 0.01


class Size(NamedTuple):
    """A size of the work."""

    hidden: tuple[int, ...]
    batch: int


def loop_of(bench: Bench, size: Size, step: Any) -> Loop:
    """Return the loop of a run with all that its steps may do."""
    torch.manual_seed(0)
    network = MLP((2,), hidden=size.hidden, activation="silu")
    experiment = ebmcore.Experiment(
        data=torch.randn(8 * size.batch, 2), energy=network,
        loss=contrastive_divergence, sampler=Langevin(STEP_SIZE), n_steps=10, holdout=0.0,
        chains=Persistent(8 * size.batch, reinit=0.05), device=str(bench.device),
        optimizer=partial(torch.optim.Adam, lr=1e-4),
    )  # fmt: skip
    keys = {"steps": 100_000, "batch_size": size.batch, "clip_grad_norm": 10.0, "ema": 0.999}
    train = read_train({**keys, "data_noise": 0.01})
    return Loop(experiment.assemble(), train, experiment.streams, Interrupts(), step=step)


class Steps:
    """Takes the training steps of a loop, one a call.

    Args:
        way: `compiled`, or any other for eager steps.
    """

    def __init__(self, bench: Bench, size: Size, way: str) -> None:
        self.warnings: list[str] = []
        limits = Limits(seconds=bench.left() / 3)
        compiled = partial(CompiledStep, warn=self.warnings.append, limits=limits)
        self.loop = loop_of(bench, size, compiled if way == "compiled" else TrainStep)
        self.indices = list(self.loop.batches.rest_of_epoch(0))
        self.done = 0

    def __call__(self) -> None:
        """Take the next step."""
        rows = self.loop.rows(self.indices[self.done % len(self.indices)], self.done)
        self.loop.train_step(*rows, self.done)
        self.done += 1


def sync(bench: Bench) -> None:
    """Take many training steps without waiting for the GPU."""
    size = Size(bench.nets[0], 16 if bench.quick else 128)
    for way in ("eager",) if bench.quick else ("eager", "compiled"):

        def once(way: str = way) -> dict[str, Any]:
            take = Steps(bench, size, way)
            for _ in range(5):  # what is done once may wait
                take()
            with bench.forbid_waiting():
                for _ in range(bench.steps):
                    take()
            bench.wait()
            finite = all(bool(p.isfinite().all()) for p in take.loop.energy.parameters())
            return {"steps": bench.steps, "forbidden": bench.cuda, "passed": finite,
                    "warnings": take.warnings}  # fmt: skip

        bench.row("sync", 10 if way == "eager" else 90, once, way=way)


def training(bench: Bench) -> None:
    """Time training steps."""
    for hidden in bench.nets:
        for batch in (16,) if bench.quick else (128, 10_000):
            size = Size(hidden, batch)
            for way in ("plain", "eager", "bf16", "compiled"):
                if bench.quick and way == "compiled":
                    continue
                once = partial(time_training, bench, size, way)
                needs = 5 if bench.quick else 60 if way == "compiled" else 15
                bench.row("training", needs, once, hidden=hidden, batch=batch, way=way)


def time_training(bench: Bench, size: Size, way: str) -> dict[str, Any]:
    """Return the seconds a training step."""
    if way == "plain":
        side = plain.Plain()
        side.work = Work("gpu", k=10, step_size=STEP_SIZE)
        side.model = MLP((2,), hidden=size.hidden, activation="silu").to(bench.device)
        side.buffer = torch.randn(8 * size.batch, 2, device=bench.device)
        side.optimizer = torch.optim.Adam(side.model.parameters(), lr=1e-4)
        side.losses = []
        x = torch.randn(size.batch, 2, device=bench.device)
        return bench.timed(lambda: side.step(x), 1)
    take = Steps(bench, size, way)
    steps = 1 if bench.quick else 5
    with torch.autocast(bench.device.type, torch.bfloat16, enabled=way == "bf16"):
        found = bench.timed(lambda: [take() for _ in range(steps)], steps)
    return {**found, "warnings": take.warnings}
