"""What is measured: one function a section, each of which records its lines as it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import startup

from speed import ranks
from speed.rounds import Worker, in_turns, workers
from speed.work import WORKS

STEP = (
    "plain",
    "plain, DataLoader",
    "torchebm",
    "jax",
    "library",
    "library, compiled",
    "runner",
    "runner, compiled",
)
CHAINS = ("plain", "torchebm", "jax", "library", "library, compiled")
LEARNING = 2000  # training steps after which the KL of every side is compared
RUN_BLOCKS = 5  # blocks in one run of the runner on the main work, to spread its monitors
Record = Callable[..., None]


class Effort(NamedTuple):
    """How much is done: `scale` multiplies every number of steps, to try the harness itself."""

    quick: bool = False
    scale: float = 1.0
    works: Sequence[str] | None = None  # the sizes of a step; None: all, or the main one if quick

    def steps(self, number: int, least: int = 2) -> int:
        """Scale a number of steps."""
        return max(least, round(number * self.scale))

    def rounds(self, number: int) -> int:
        """Return the rounds; fewer when it should be quick."""
        return max(1, round((min(number, 3) if self.quick else number) * min(1, self.scale * 10)))


def step(record: Record, effort: Effort) -> None:
    """One training step: the main work, and, unless quick, the other sizes."""
    for name in effort.works or (["main"] if effort.quick else list(WORKS)):
        main = name == "main"
        sides = [s for s in STEP if main or s != "plain, DataLoader"]
        with workers(sides) as found:
            _train(record, effort, name, found, rounds=5 if main else 3)


def _train(record: Record, effort: Effort, name: str, found: Sequence[Worker], rounds: int) -> None:
    work = WORKS[name]

    def block(side: str) -> int:
        whole = side.startswith("runner") and name == "main" and not effort.quick
        return effort.steps(work.block * (RUN_BLOCKS if whole else 1), 4)

    for worker in found:
        warm = worker.ask("warm_train", work=name, seed=0, steps=block(worker.side))
        record("step", work=name, side=worker.side, event="warm", **warm)
    for number, worker in in_turns(found, effort.rounds(rounds)):
        took = worker.ask("timed_train", steps=block(worker.side))
        record("step", work=name, side=worker.side, event="block", round=number, **took)
    for worker in found:
        peak = worker.ask("memory")
        record("step", work=name, side=worker.side, event="memory", **peak)
        if name == "main" and worker.side != "plain, DataLoader":
            steps = effort.steps(LEARNING // (2 if effort.quick else 1))
            learnt = worker.ask("learn", work=name, seed=1, steps=steps)
            record("step", work=name, side=worker.side, event="learn", **learnt)


def chains(record: Record, effort: Effort) -> None:
    """Langevin steps alone: 128 and 1000 chains, and, unless quick, 100 to 100,000."""
    sizes = {128: 300, 1000: 100}
    if not effort.quick:
        sizes |= {100: 300, 10_000: 20, 100_000: 4}
    for n, block in sizes.items():
        with workers(CHAINS) as found:
            steps = effort.steps(block)
            for worker in found:
                warm = worker.ask("warm_walk", work="main", seed=0, steps=steps, n=n)
                record("chains", n=n, side=worker.side, event="warm", **warm)
            for number, worker in in_turns(found, effort.rounds(7 if n in (128, 1000) else 5)):
                took = worker.ask("timed_walk", steps=steps)
                record("chains", n=n, side=worker.side, event="block", round=number, **took)
            for worker in found:
                peak = worker.ask("memory")
                record("chains", n=n, side=worker.side, event="memory", **peak)


def quality(record: Record, effort: Effort) -> None:
    """Seconds to a KL on five Gaussians: the shipped example against the tutorials' recipe."""
    for seed in range(1 if effort.quick or effort.scale < 1 else 3):
        for side in ("tutorial", "example", "tutorial, our runner"):
            if side == "tutorial, our runner" and seed:
                continue
            with workers([side]) as (worker,):
                found = worker.ask("race", seed=seed, scale=effort.scale)
            record("quality", side=side, seed=seed, **found)


def overhead(record: Record, effort: Effort) -> None:
    """The shipped example with tracking and monitors, and the same with neither."""
    with workers(("example", "example, bare")) as found:
        for worker in found:
            warm = worker.ask("whole", scale=min(effort.scale, 0.02))
            record("overhead", side=worker.side, event="warm", **warm)
        for number, worker in in_turns(found, effort.rounds(2)):
            took = worker.ask("whole", scale=effort.scale)
            record("overhead", side=worker.side, event="block", round=number, **took)


def start(record: Record, effort: Effort) -> None:
    """How long commands take to start, and `ebmcore run` to its first step."""
    rounds = max(1, round((3 if effort.quick else 5) * min(1, effort.scale)))
    for command, seconds in startup.measure(rounds).items():
        record("startup", command=command, rounds=seconds)


def scaling(record: Record, effort: Effort) -> None:
    """One rank against two: the same batch shared, a batch for each, and the all-reduce alone."""
    sizes = [(128, 128)] if effort.quick else [(128, 128), (512, 512)]
    cases = (("one", 1, 128), ("one", 1, 1024), ("strong", 2, 128), ("strong", 2, 1024),
             ("weak", 2, 256), ("weak", 2, 2048))  # fmt: skip
    for hidden in sizes:
        for number in range(effort.rounds(3)):
            for kind, count, batch in cases:
                steps = effort.steps(160 if hidden[0] == 128 else 80, 20)
                found = ranks.train(count, batch, hidden, steps)
                here = {
                    "hidden": "-".join(map(str, hidden)),
                    "kind": kind,
                    "ranks": count,
                    "batch": batch,
                }
                record("scaling", **here, event="block", round=number, **found)
    for found in ranks.reduce(2, [1_000, 17_000, 300_000, 3_000_000], effort.steps(100, 5)):
        record("scaling", event="reduce", **found)


SECTIONS: dict[str, Callable[[Record, Effort], Any]] = {
    "startup": start,
    "step": step,
    "chains": chains,
    "overhead": overhead,
    "quality": quality,
    "scaling": scaling,
}
QUICK = ("startup", "step", "chains", "overhead")
