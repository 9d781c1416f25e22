"""A run's specification: everything that it is made of, fixed before its first step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch

from ebmcore.compile.compilers import end_compilers
from ebmcore.compile.policy import CompileDecision, decide_compile, training_step
from ebmcore.config import Train
from ebmcore.distributed.comm import Ranks
from ebmcore.plugins import Host
from ebmcore.runner.results import RowsReader
from ebmcore.runner.run import Listener
from ebmcore.trackers.entry import Trackers
from ebmcore.train.components import Parts
from ebmcore.train.device import Placement
from ebmcore.train.loop import Loop
from ebmcore.train.rng import Streams
from ebmcore.train.signals import Interrupts
from ebmcore.train.threads import Threads, choose_threads
from ebmcore.train.types import Silent


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an experiment was written: what to record of it, and how to speak of its parts."""

    record: Mapping[str, Any] | None = None  # the resolved config; None when made of objects
    host: Host | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()  # local plugin files
    components: Sequence[Mapping[str, Any]] = ()  # what stands where, with its plugin's version
    where: Callable[[str], str] = lambda path: ""
    placement: Placement | None = None  # of the parts, which may hold its streams
    rows: RowsReader | None = None  # reads the data again; None when made of objects
    given: Mapping[str, Any] = field(default_factory=dict)  # of objects: what no part holds


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """A run that is about to begin or to go on; every rank has one of its own."""

    name: str
    seed: int
    parts: Parts
    train: Train
    tracking: Trackers  # empty: it is sent nowhere
    streams: Streams
    compile: bool | Literal["auto"]
    compile_seconds: float
    threads: int | Literal["auto"]
    profile: bool
    origin: Origin
    warnings: tuple[str, ...]  # that it begins with
    listener: Listener | None

    @property
    def device(self) -> torch.device:
        """The device that the run trains on."""
        return self.parts.device


class Training(NamedTuple):
    """The loop of one rank and the settings that it was made with."""

    loop: Loop
    interrupts: Interrupts
    threads: Threads
    compile_decision: CompileDecision


def prepare_training(
    spec: RunSpec, ranks: Ranks, warn: Callable[[str], None], progress: Silent | None = None
) -> Training:
    """Make the loop of this rank.

    `warn` is called with each part that can't be compiled; `progress` shows the compiling, which
    counts as no step's time, and which a signal ends at once.
    """
    parts, train, display = spec.parts, spec.train, progress or Silent()

    @contextmanager
    def compiling() -> Iterator[None]:
        began = time.perf_counter()
        with interrupts.at_once(end_compilers), display.compiling():
            yield
        loop.rate.exclude(time.perf_counter() - began)

    interrupts = Interrupts(agreed=ranks.size > 1)
    threads = choose_threads(
        spec.threads, parts.energy, parts.data.x[: train.batch_size // ranks.size]
    )
    steps = train.total_steps(parts.data.n)
    # ranks would have to agree that one of them took too long
    seconds = math.inf if ranks.size > 1 else spec.compile_seconds
    decision = decide_compile(spec.compile, parts, steps, seconds)
    step = training_step(decision, warn, compiling)
    loop = Loop(parts, train, spec.streams, interrupts, step, ranks)
    return Training(loop, interrupts, threads, decision)
