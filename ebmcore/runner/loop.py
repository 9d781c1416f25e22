"""The loop: batches in, steps, metrics fetched once an interval, monitors, and an orderly end."""

from __future__ import annotations

import math
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ebmcore.config import Tracking, Train
from ebmcore.errors import DivergenceError, RunError, RunInterrupted
from ebmcore.runner.checkpoint import save_checkpoint
from ebmcore.runner.interrupts import Interrupts
from ebmcore.runner.lifecycle import notify
from ebmcore.runner.parts import Parts
from ebmcore.runner.progress import progress
from ebmcore.runner.record import begin_record, start_mirror
from ebmcore.runner.result import Run
from ebmcore.runner.step import Stepped, TrainStep
from ebmcore.runner.streams import derive, own_global_stream
from ebmcore.runner.watch import Watch
from ebmcore.tracking import Mirror, RunDirectory

if TYPE_CHECKING:
    from ebmcore.runner.experiment import Experiment


class Loop:
    """One execution of an experiment, from the run directory's making to its last line."""

    def __init__(
        self,
        experiment: Experiment,
        parts: Parts,
        train: Train,
        tracking: Tracking | None,
        runs_dir: str | Path | None,
        *,
        show: bool,
    ) -> None:
        self.experiment = experiment
        self.parts = parts
        self.train = train
        self.tracking = tracking
        self.streams = experiment.streams
        self.steps_per_epoch = len(parts.data.x) // train.batch_size
        self.steps = train.steps or (train.epochs or 0) * self.steps_per_epoch
        self.directory = RunDirectory.create(experiment.name, runs_dir)
        self.show = progress(self.steps, show=show)
        self.averaged = None
        if train.ema is not None:
            average = get_ema_multi_avg_fn(train.ema)  # type: ignore[no-untyped-call] # torch's own
            self.averaged = AveragedModel(parts.energy, multi_avg_fn=average)
        self.run_ = Run(
            self.directory.path,
            self.energy,
            bounds=parts.data.bounds,
            sampler=parts.sampler,
            chains=parts.chains,
            seed=experiment.seed,
        )
        self.watch = Watch(
            parts, self.streams, self.directory.figures, self.warn, self.directory.log
        )
        self.one_step = TrainStep(parts, train, self.streams, self.averaged)
        self.waiting: list[dict[str, Tensor]] = []  # metrics not fetched yet, one entry a step
        self.clock = time.perf_counter()
        self.interrupts = Interrupts()

    @property
    def energy(self) -> nn.Module:
        """The energy with the averaged weights, when an average is kept."""
        return self.parts.energy if self.averaged is None else self.averaged.module

    def run(self) -> Run:
        """Train to the end, or to a signal, or to a failure; whichever it is, close everything."""
        began = time.perf_counter()
        params = begin_record(self.directory, self.experiment, self.train, self.tracking)
        mirror = start_mirror(self.directory, self.experiment, self.tracking, params)
        failure: BaseException | None = None
        with self.interrupts:
            try:
                self.tell("ebmcore_run_start", run=self.run_)
                with self.show, own_global_stream(self._global_seed, self.parts.device):
                    self._train()
                self.run_.status = "FINISHED" if self.interrupts.number is None else "KILLED"
            except KeyboardInterrupt:
                self.run_.status = "KILLED"
            except Exception as error:
                failure = error
                self.run_.status = "FAILED"
                self.directory.log("ERROR", traceback.format_exc())
                self.tell("ebmcore_run_error", run=self.run_, error=error)
            if self.run_.status != "FAILED":
                failure = self._save()
            self.tell("ebmcore_run_end", run=self.run_, status=self.run_.status)
            self._close(mirror, failure, time.perf_counter() - began)
        if failure is not None:
            raise RunError(f"run {self.directory.path} FAILED: {failure}", self.run_) from failure
        if self.run_.status == "KILLED":
            raise RunInterrupted(self.interrupts.number or 2, self.run_)
        return self.run_

    @property
    def _global_seed(self) -> int:
        """The seed of what an energy draws from torch's global generator, such as dropout."""
        return derive(self.experiment.seed, "global")

    def _train(self) -> None:
        last: Stepped | None = None
        while self.run_.step < self.steps and self.interrupts.number is None:
            for index in self._epoch():
                y = self.parts.data.y
                x = self.parts.data.x[index]
                last = self.one_step(x, None if y is None else y[index], self.run_.step)
                self.run_.step += 1
                self._schedule()
                self.waiting.append(last.metrics)
                done = self.run_.step >= self.steps
                if done or len(self.waiting) == self.train.log_every:
                    self._fetch(last)
                if done or self.interrupts.number is not None:
                    break
                self._look(last, end=False)
        if self.interrupts.number is None:
            self._look(last, end=True)

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
        if self.parts.lr_interval == "step" or self.run_.step % self.steps_per_epoch == 0:
            schedule.step()

    def _fetch(self, last: Stepped) -> None:
        """Bring the interval's metrics to the host, check that they are finite, and write them."""
        names = dict.fromkeys(name for row in self.waiting for name in row)
        columns = {
            name: torch.stack([row[name] for row in self.waiting if name in row]).tolist()
            for name in names
        }
        first = self.run_.step - len(self.waiting) + 1
        steps, self.waiting = len(self.waiting), []
        for name, values in columns.items():
            for offset, value in enumerate(values):
                if not math.isfinite(value):
                    raise DivergenceError(
                        self._diverged(name, first + offset, value, values[:offset])
                    )
        metrics = {name: sum(values) / len(values) for name, values in columns.items()}
        now = time.perf_counter()
        metrics["train/steps_per_second"] = steps / (now - self.clock)
        metrics["train/lr"] = float(self.parts.optimizer.param_groups[0]["lr"])
        gap = None
        if last.x_neg is not None:
            with torch.no_grad():
                energies = self.parts.energy(last.x).mean() - self.parts.energy(last.x_neg).mean()
            gap = metrics["train/energy_gap"] = float(energies)
        self._write(metrics)
        rate = metrics["train/steps_per_second"]
        self.show.update(self.run_.step, metrics["loss"], gap, rate)
        self.clock = time.perf_counter()

    def _diverged(self, name: str, step: int, value: float, before: list[float]) -> str:
        label = next((t.label for t in self.parts.losses if name == f"loss/{t.name}"), "training")
        finite = f"; {before[-1]:.6g} a step before" if before else ""
        return (
            f"step {step}: {name} is {value} ({label}){finite}. Smaller steps (optimizer.lr, "
            "sampler.step_size), train.clip_grad_norm or an energy penalty may keep it finite"
        )

    def _look(self, last: Stepped | None, *, end: bool) -> None:
        began = time.perf_counter()
        seen = self.watch(self.energy, last, self.run_.step, self.steps_per_epoch, end)
        if seen.metrics:
            self._write(seen.metrics)
        self.clock += time.perf_counter() - began  # steps per second are the steps' own

    def _write(self, metrics: dict[str, float]) -> None:
        self.run_.metrics |= metrics
        epoch = self.run_.step / self.steps_per_epoch
        self.directory.append_metrics(self.run_.step, epoch, metrics)

    def _save(self) -> BaseException | None:
        try:
            path = save_checkpoint(
                self.directory.checkpoints, self.parts, self.averaged, self.run_.step
            )
        except OSError as error:
            self.run_.status = "FAILED"
            self.directory.log("ERROR", traceback.format_exc())
            return error
        self.tell("ebmcore_checkpoint", run=self.run_, path=path)
        return None

    def _close(self, mirror: Mirror | None, failure: BaseException | None, seconds: float) -> None:
        """Write how the run ended, here and in MLflow."""
        self.directory.update(
            status=self.run_.status,
            step=self.run_.step,
            ended=time.time(),
            seconds=round(seconds, 3),
            seconds_by_monitor={k: round(v, 3) for k, v in self.watch.seconds.items()},
            metrics={k: v if math.isfinite(v) else str(v) for k, v in self.run_.metrics.items()},
            error=None if failure is None else str(failure),
        )
        if mirror is not None:
            mirror.finish(self.run_.status)
            self.run_.mlflow = self.directory.read().get("mlflow") or {}
            if mirror.problem:
                self.warn(f"the MLflow mirror is not complete: {mirror.problem}")
        self.directory.update(warnings=self.run_.warnings)

    def warn(self, text: str) -> None:
        """Record a warning in the run and show it."""
        self.run_.warnings.append(text)
        self.directory.log("WARNING", text)
        self.show.say(f"warning: {text}")

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call a life-cycle hook; a plugin that raises in it is reported, and that is all."""
        host = self.experiment.origin.host
        for problem in notify(host, hook, **arguments) if host else ():
            self.warn(problem)
