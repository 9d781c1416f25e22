"""The loop: batches in, steps, metrics fetched once an interval, monitors when they are due."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ebmcore.config import Train
from ebmcore.errors import DivergenceError
from ebmcore.runner.interrupts import Interrupts
from ebmcore.runner.parts import Parts, blame
from ebmcore.runner.progress import Silent
from ebmcore.runner.step import Stepped, TrainStep
from ebmcore.runner.streams import Streams, own_global_stream
from ebmcore.runner.watch import Watch
from ebmcore.sampling import evaluating


class Progress(NamedTuple):
    """How a run's loop tells what it did: metrics to be written, and a display."""

    write: Callable[[int, dict[str, float]], None]
    show: Silent


class Loop:
    """The training of a set of parts, step by step; it writes nothing itself."""

    def __init__(
        self, parts: Parts, train: Train, streams: Streams, interrupts: Interrupts
    ) -> None:
        self.parts = parts
        self.train = train
        self.streams = streams
        self.interrupts = interrupts
        self.steps_per_epoch = len(parts.data.x) // train.batch_size
        self.steps = train.steps or (train.epochs or 0) * self.steps_per_epoch
        self.step = 0  # training steps done
        self.averaged = None
        if train.ema is not None:
            average = get_ema_multi_avg_fn(train.ema)  # type: ignore[no-untyped-call] # torch's own
            self.averaged = AveragedModel(parts.energy, multi_avg_fn=average)
        self.one_step = TrainStep(parts, train, streams, self.averaged)
        self.waiting: list[dict[str, Tensor]] = []  # metrics not fetched yet, one entry a step
        self.clock = time.perf_counter()

    @property
    def energy(self) -> nn.Module:
        """The energy with the averaged weights, when an average is kept."""
        return self.parts.energy if self.averaged is None else self.averaged.module

    @property
    def epoch(self) -> float:
        """Passes over the data done."""
        return self.step / self.steps_per_epoch

    def run(self, watch: Watch, tell: Progress) -> None:
        """Train to the last step, or until a signal."""
        last: Stepped | None = None
        self.clock = time.perf_counter()
        while self.step < self.steps and self.interrupts.number is None:
            for index in self._epoch():
                y = self.parts.data.y
                x = self.parts.data.x[index]
                last = self.one_step(x, None if y is None else y[index], self.step)
                self.step += 1
                self._schedule()
                self.waiting.append(last.metrics)
                done = self.step >= self.steps
                if done or len(self.waiting) == self.train.log_every:
                    self._fetch(last, tell)
                if done or self.interrupts.number is not None:
                    break
                self._look(watch, last, tell, end=False)
        if self.interrupts.number is None:
            self._look(watch, last, tell, end=True)

    def _epoch(self) -> list[Tensor]:
        """Shuffle, and return the batches' indices; the few points left over wait an epoch."""
        n = len(self.parts.data.x)
        order = torch.randperm(n, generator=self.streams("data order", on_cpu=True))
        batches = order[: self.steps_per_epoch * self.train.batch_size].to(self.parts.data.x.device)
        return list(batches.view(self.steps_per_epoch, self.train.batch_size))

    def _schedule(self) -> None:
        schedule = self.parts.lr_scheduler
        if schedule is None:
            return
        if self.parts.lr_interval == "step" or self.step % self.steps_per_epoch == 0:
            with blame(f"lr_scheduler {type(schedule).__name__}", self.step):
                schedule.step()

    def _fetch(self, last: Stepped, tell: Progress) -> None:
        """Bring the interval's metrics to the host, check that they are finite, and tell them."""
        rows, self.waiting = self.waiting, []
        columns = {
            name: torch.stack([row[name] for row in rows]).tolist()
            for name in rows[0]
            if all(name in row for row in rows)
        }
        self._refuse_non_finite(columns, len(rows))
        del columns["samples"]  # their sum, which is fetched for this check alone
        metrics = {name: sum(values) / len(values) for name, values in columns.items()}
        rate = len(rows) / (time.perf_counter() - self.clock)
        metrics["train/steps_per_second"] = rate
        metrics["train/lr"] = float(self.parts.optimizer.param_groups[0]["lr"])
        gap = self._gap(last)
        if gap is not None:
            metrics["train/energy_gap"] = gap
        tell.write(self.step, metrics)
        tell.show.update(self.step, metrics["loss"], gap, rate)
        self.clock = time.perf_counter()

    def _gap(self, last: Stepped) -> float | None:
        """Return mean E(x) - mean E(x⁻) of the last step; how often it is asked changes nothing."""
        if last.x_neg is None:
            return None
        energy = self.parts.energy
        aside = own_global_stream(None, self.parts.device)
        with torch.no_grad(), aside, evaluating(energy):
            return float(energy(last.x).mean() - energy(last.x_neg).mean())

    def _refuse_non_finite(self, columns: dict[str, list[float]], steps: int) -> None:
        """Raise DivergenceError for the earliest step, and the first part in it, to go wrong."""
        names = sorted(columns, key=lambda name: _ORDER.get(name, 1))
        for offset in range(steps):
            for name in names:
                value = columns[name][offset]
                if math.isfinite(value):
                    continue
                label = {
                    "samples": self.parts.label("sampler"),
                    "train/grad_norm": "the gradient of the losses",
                    **{f"loss/{term.name}": term.label for term in self.parts.losses},
                }.get(name, "training")
                before = f"; {columns[name][offset - 1]:.6g} a step before" if offset else ""
                raise DivergenceError(
                    f"step {self.step - steps + 1 + offset}: {name} of {label} is {value}{before}. "
                    "Smaller steps (optimizer.lr, sampler.step_size), train.clip_grad_norm or an "
                    "energy penalty may keep it finite"
                )

    def _look(self, watch: Watch, last: Stepped | None, tell: Progress, *, end: bool) -> None:
        began = time.perf_counter()
        metrics = watch(self.energy, last, self.step, self.steps_per_epoch, end)
        if metrics:
            tell.write(self.step, metrics)
        self.clock += time.perf_counter() - began  # steps per second are the steps' own


# samples come before the losses of them, a loss before the sum, the sum before its gradient
_ORDER = {"samples": 0, "loss": 2, "train/grad_norm": 3}
