"""One execution of an experiment: its directory, its mirror, and an orderly end."""

from __future__ import annotations

import math
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ebmcore.config import Tracking, Train
from ebmcore.errors import RunError, RunInterrupted
from ebmcore.runner.checkpoint import save_checkpoint
from ebmcore.runner.interrupts import Interrupts
from ebmcore.runner.lifecycle import notify
from ebmcore.runner.loop import Loop, Progress
from ebmcore.runner.parts import Parts
from ebmcore.runner.progress import progress
from ebmcore.runner.record import begin_record, start_mirror
from ebmcore.runner.result import Run
from ebmcore.runner.streams import derive, own_global_stream
from ebmcore.runner.watch import Watch
from ebmcore.tracking import Mirror, RunDirectory

if TYPE_CHECKING:
    from ebmcore.runner.experiment import Experiment


_FIRST_WEIGHTS = 0.05  # the share of the first step's weights in an average that is worth a warning


class Execution:
    """From the making of the run directory to its last line."""

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
        self.status = "RUNNING"
        self.metrics: dict[str, float] = {}  # the last value of each
        self.warnings: list[str] = []
        self.interrupts = Interrupts()
        self.loop = Loop(parts, train, experiment.streams, self.interrupts)
        self.show = progress(self.loop.steps, show=show)
        self.directory = RunDirectory.create(experiment.name, runs_dir)
        self.watch = Watch(
            parts, experiment.streams, self.directory.figures, self.warn, self.directory.log
        )
        self.result = Run(
            self.directory.path,
            self.loop.energy,
            bounds=parts.data.bounds,
            sampler=parts.sampler,
            chains=parts.chains,
            seed=experiment.seed,
        )

    def run(self) -> Run:
        """Train to the end, or to a signal, or to a failure; whichever it is, close everything.

        Raises RunError when the run FAILED, RunInterrupted after a signal.
        """
        began = time.perf_counter()
        mirror: Mirror | None = None
        failure: BaseException | None = None
        with self.interrupts:
            try:
                recorded = begin_record(self.directory, self.experiment, self.train, self.tracking)
                self.directory.update(steps=self.loop.steps)
                mirror = start_mirror(self.directory, self.experiment, self.tracking, recorded)
                self.tell("ebmcore_run_start", run=self.result)
                for text in self.experiment.warnings:
                    self.warn(text)
                self._doubt_average()
                self._train()
                self.status = "FINISHED" if self.interrupts.number is None else "KILLED"
            except KeyboardInterrupt:
                self.status = "KILLED"
            except Exception as error:
                failure = self._failed(error)
            try:
                failure = self._save() or failure
                self.loop.energy.eval()
                self.tell("ebmcore_run_end", run=self.result, status=self.status)
            except KeyboardInterrupt:  # once more, while a plugin was told of the end
                self.status = self.status if self.status == "FAILED" else "KILLED"
            try:
                self._close(mirror, failure, time.perf_counter() - began)
            except Exception as error:
                failure = failure or self._failed(error)
                with suppress(OSError):
                    self.directory.update(status=self.status, error=str(failure))
            self._reveal()
            self.directory.lock.release()
        if failure is not None:
            message = f"run {self.directory.path} FAILED: {failure}"
            raise RunError(message, self.result) from failure
        if self.status == "KILLED":
            raise RunInterrupted(self.interrupts.number or 2, self.result)
        return self.result

    def _reveal(self) -> None:
        """Let the run say what was recorded, whatever a plugin that was shown it wrote there."""
        self.result.status = self.status
        self.result.step = self.loop.step
        self.result.metrics = dict(self.metrics)
        self.result.warnings = self.warnings
        self.result.energy = self.loop.energy

    def _train(self) -> None:
        # what draws from torch's global generators, such as dropout, gets a stream of its own
        seed = derive(self.experiment.seed, "global")
        with self.show, own_global_stream(seed, self.parts.device):
            self.loop.run(self.watch, Progress(self._write, self.show))

    def _doubt_average(self) -> None:
        """Warn of an average so slow that the first weights are still in it at the end."""
        decay, steps = self.train.ema, self.loop.steps
        if decay is None or decay**steps <= _FIRST_WEIGHTS:
            return
        self.warn(
            f"train.ema {decay} is slow for {steps} steps: {decay**steps:.0%} of the averaged "
            f"weights will be the first step's; {_FIRST_WEIGHTS ** (1 / steps):.2g} would fit"
        )

    def _write(self, step: int, metrics: dict[str, float]) -> None:
        self.result.step = step
        self.metrics |= metrics
        self.result.metrics = dict(self.metrics)
        self.watch.remember(step, metrics)
        self.directory.append_metrics(step, self.loop.epoch, metrics)

    def _failed(self, error: Exception) -> Exception:
        """Note a failure as far as the disk still lets us, and return it."""
        self.status = "FAILED"
        self._reveal()
        try:
            self.directory.log("ERROR", traceback.format_exc())
            self.tell("ebmcore_run_error", run=self.result, error=error)
        except OSError:
            pass  # the failure itself is what the user must hear of
        return error

    def _save(self) -> Exception | None:
        """Write a checkpoint, of a failed run too if its weights are still numbers."""
        self._reveal()
        if self.status == "FAILED" and not self._is_finite():
            return None
        try:
            path = save_checkpoint(
                self.directory.checkpoints, self.parts, self.loop.averaged, self.loop.step
            )
        except Exception as error:  # safetensors reports a full disk by an error of its own
            return self._failed(error)
        self.tell("ebmcore_checkpoint", run=self.result, path=path)
        return None

    def _is_finite(self) -> bool:
        return all(bool(torch.isfinite(p).all()) for p in self.parts.energy.parameters())

    def _close(self, mirror: Mirror | None, failure: BaseException | None, seconds: float) -> None:
        """Write how the run ended, here and in MLflow."""
        self.directory.update(
            status=self.status,
            step=self.loop.step,
            ended=time.time(),
            seconds=round(seconds, 3),
            seconds_by_monitor={k: round(v, 3) for k, v in self.watch.seconds.items()},
            metrics={k: v if math.isfinite(v) else str(v) for k, v in self.metrics.items()},
            error=None if failure is None else str(failure),
        )
        if mirror is not None:
            mirror.finish(self.status)
            self.result.mlflow = self.directory.read().get("mlflow") or {}
            if mirror.problem:
                self.warn(f"the MLflow mirror is not complete: {mirror.problem}")
        self.directory.update(warnings=self.warnings)

    def warn(self, text: str) -> None:
        """Record a warning in the run and show it."""
        self.warnings.append(text)
        self.directory.log("WARNING", text)
        self.show.say(f"warning: {text}")

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call a life-cycle hook; a plugin that raises in it is reported, and that is all."""
        host = self.experiment.origin.host
        for problem in notify(host, hook, **arguments) if host else ():
            self.warn(problem)
