"""One execution of an experiment: its directory, its trackers, and an orderly end."""

from __future__ import annotations

import math
import time
import traceback
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any

from ebmcore.checkpoint.best import Best
from ebmcore.checkpoint.files import (
    Checkpoint,
    drop_after,
    fitting,
    has_good,
)
from ebmcore.checkpoint.rollback import Rollback
from ebmcore.checkpoint.saves import Saves
from ebmcore.checkpoint.snapshot import restore
from ebmcore.compile.policy import compile_record, limits_record, repeat_limits
from ebmcore.distributed.comm import Ranks
from ebmcore.errors import (
    EbmError,
    RankError,
    RunError,
    RunInterrupted,
)
from ebmcore.masking import mask
from ebmcore.monitoring.progress import progress_display
from ebmcore.monitoring.run import MonitorRunner
from ebmcore.runner.hooks.events import Events
from ebmcore.runner.requests import Requests
from ebmcore.runner.run import Run
from ebmcore.runner.run_record import begin_record, continue_record, is_own, start_trackers
from ebmcore.runner.spec import RunSpec, prepare_training
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.layout import FIGURES, PROFILE
from ebmcore.terminal import protected
from ebmcore.trackers.entry import MLFLOW
from ebmcore.trackers.followers import Followers
from ebmcore.train.divergence import Divergence
from ebmcore.train.rng import own_global_stream
from ebmcore.train.threads import using
from ebmcore.train.warnings import slow_average, slow_monitors, untimely

_PATIENT = 60.0  # seconds that the trackers have to send the rest, while they answer
_HURRIED = 12.0  # the same when another rank is gone: torchrun kills this one 30 s after that
_AT_ONCE = 0.5  # the same after a second Ctrl-C


class Session:
    """One run in one process: from its directory, or a checkpoint in it, to its last line."""

    def __init__(
        self,
        spec: RunSpec,
        directory: RunDirectory,
        ranks: Ranks,
        *,
        show: bool,
        resumes: bool = False,
    ) -> None:
        self.spec = spec
        self.parts = parts = spec.parts
        self.train = train = spec.train
        self.directory = directory
        self.ranks = ranks  # of which this is rank 0
        self.resumes = resumes
        self.status = "RUNNING"
        self.recording: dict[str, float] | None = None  # metrics, while the loop's are recorded
        self.at_once = False  # whether a second Ctrl-C asked for the end
        self.metrics: dict[str, float] = {}  # the last value of each
        self.warnings: list[str] = []
        self.best = Best(train.keep_best)
        self.seconds = 0.0  # of the sessions before this one
        self.began = time.perf_counter()
        self.first_warnings = list(spec.warnings)
        self.progress = progress_display(train.total_steps(parts.data.n), show=show)
        self.loop, self.interrupts, self.threads, self.compile_decision = prepare_training(
            spec, ranks, self.warn, self.progress
        )
        self.monitors = MonitorRunner(
            parts, spec.streams, lambda name, png: directory.write(f"{FIGURES}/{name}", png),
            self.warn, directory.log,
        )  # fmt: skip
        self.result = Run.of(directory.path, self.loop, spec.seed, spec.origin.host)
        self.result.read_rows = spec.origin.rows or self.result.read_rows
        self.events = Events(spec.origin.host, self.result, self.loop, self.warn, directory.log)
        self.rollback = Rollback(self.loop, directory, self.event, self.warn)
        self.requests = Requests(directory, self.loop, self._log, self.warn)
        self.saves = Saves(
            self.loop, directory, self.best, self.rollback, self._record, self.events.checkpoint
        )
        if resumes:
            self._take_up()

    def _take_up(self) -> None:
        """Go on from the last checkpoint that is whole, or from the beginning when there is none.

        Raises EbmError, before anything is written, when its state isn't that of these parts.
        """
        folder, warnings = self.directory.checkpoints, self.first_warnings
        if has_good(folder):
            checkpoint = Checkpoint.last(folder, whole=True, warn=warnings.append)
            self.ranks.broadcast_text(checkpoint.path.name)
            record, inexact = restore(checkpoint, self.loop)
            warnings.extend(inexact)
            with fitting(checkpoint, "the run's record"):
                self.warnings = list(record["warnings"])
                repeat_limits(self.loop.train_step, record)
                self.best.load(record["best"])
                self.rollback.load_state_dict(record)
                self.seconds = float(record["seconds"])
                self.loop.timing.seconds.update(record.get("seconds_by_part", {}))
                self.monitors.load_state_dict(record["monitors"])
                self.events.load_state(record)
                self.interrupts.resume_stopped(record.get("stopped", ""))
        else:
            self.ranks.broadcast_text("")
        for step, metrics in self.directory.rewind_metrics(self.loop.step):
            self.metrics |= metrics
            self.monitors.remember(step, metrics)
            self.requests.remember(step, metrics)
        drop_after(folder, self.loop.step)

    def run(self) -> Run:
        """Train to the end, or to a signal, or to a failure; whichever it is, close everything.

        Raises RunError when the run FAILED, RunInterrupted after a signal.
        """
        followers: Followers | None = None
        failure: BaseException | None = None
        with protected(), self.interrupts:
            try:
                followers = self._begin()
                self._train()
                self.status = "FINISHED" if self.loop.done else "KILLED"
            except KeyboardInterrupt:  # a second Ctrl-C: what was saved before stands
                self.status, self.at_once = "KILLED", True
                self.saves.abandon()
            except Exception as error:
                failure = self._failed(error)
            try:
                if failure is not None:
                    self.saves.save_failed(failure)
                self.loop.eval()
                self._reveal()
                self.events.end(self.status)
            except KeyboardInterrupt:  # once more, while a plugin was called at the end
                self.status = self.status if self.status == "FAILED" else "KILLED"
            try:
                self._close(followers, failure)
            except Exception as error:
                failure = failure or self._failed(error)
                self._close_anyway(followers, failure)
            self._reveal()
            self._closed()
        if failure is not None:
            message = f"run {self.directory.path} FAILED: {failure}"
            raise RunError(message, self.result) from failure
        if self.status == "KILLED" and (self.at_once or self.interrupts.number != 0):
            number = self.interrupts.number or self.interrupts.received or 2
            raise RunInterrupted(number, self.result)
        return self.result

    def _begin(self) -> Followers | None:
        """Write the record that is known before the first step, and say that the run starts."""
        self.result.requests = self.requests
        self.result.is_own = is_own(self.directory, self.spec, resumes=self.resumes)
        if self.resumes:
            recorded = continue_record(self.directory, self.loop.step)
        else:
            recorded = begin_record(self.directory, self.spec)
        self.directory.update(steps=self.loop.steps, ranks=self.ranks.size)
        followers = start_trackers(
            self.directory, self.spec, recorded, resumes=self.resumes, warn=self.warn
        )  # fmt: skip
        compiled = compile_record(self.compile_decision, self.loop.train_step)
        self.directory.update(compile=compiled, threads=self.threads._asdict())
        self.result.find_mlflow = partial(followers.recorded, MLFLOW)
        self.events.start()
        if self.spec.listener is not None:
            self.spec.listener.run_started(self.result)
        for text in self.first_warnings:
            self.warn(text)
        if self.compile_decision.asked is True and not self.compile_decision.compiled:
            self.warn(f"nothing is compiled: {self.compile_decision.why}")
        if not self.resumes:
            for text in slow_average(self.train.ema, self.loop.steps):
                self.warn(text)
        return followers

    def _reveal(self) -> None:
        """Let the run say what was recorded, whatever a plugin that was shown it wrote there."""
        self.result.status = self.status
        self.result.step = self.loop.step
        self.result.metrics = dict(self.metrics)
        self.result.warnings = self.warnings
        self.result.energy = self.loop.energy
        self.result.networks = self.loop.networks
        self.result.chains = self.loop.chains
        self.result.ended_early = self.interrupts.early
        self.result.stopped = self._stopped()

    def _train(self) -> None:
        # what draws from torch's global generators, such as dropout, gets a stream of its own
        seed = self.spec.streams.derived("global")
        threads, profiled = using(self.threads.number), self._profiler()
        with self.progress, threads, profiled, own_global_stream(seed, self.parts.device):
            self.spec.streams.restore_global()
            self.loop.after_step = self.events.after_step(
                self.loop.after_step, self.saves.after_step
            )
            self.loop.run(self.monitors, self)
            self.saves.settle()
        if why := self._stopped():
            self.directory.append_event(self.loop.step, "stopped", why=why)
            self.directory.log("INFO", f"step {self.loop.step}: stopped: {why}")
        if self.train.keep_best and self.best.step is None:
            self.warn(f"train.keep_best: {self.best.why_none(self.monitors.history)}")
        if self.parts.lr_metric is not None and self.parts.lr_metric not in self.metrics:
            self.warn(f"lr_scheduler: no metric {self.parts.lr_metric!r} was recorded to follow")

    def write(self, step: int, metrics: dict[str, float]) -> dict[str, float]:
        """Record metrics of a step; return them and those that callbacks logged of them."""
        self.recording = {}
        self._log(step, metrics)
        recorded, self.recording = self.recording, None
        return recorded

    def _log(self, step: int, metrics: dict[str, float]) -> None:
        """Record metrics; those that a callback logs of others may end or save the run as these."""
        self._write_down(step, metrics)
        if self.recording is None:  # the ranks don't agree on what follows
            for text in untimely(metrics, self.best.name, self.parts.lr_metric, self.warnings):
                self.warn(text)
        else:
            self.recording |= metrics
            listener = self.spec.listener
            why = "" if listener is None else listener.metrics_recorded(step, metrics)
            if why and self.loop.step < self.loop.steps:
                self.interrupts.end(why)
            if self.best.update(step, metrics):
                self.loop.save_reason = f"the best {self.best.name} so far, {self.best.value:.6g}"
        self.events.metrics(step, metrics)

    def _write_down(self, step: int, metrics: dict[str, float]) -> None:
        self.result.step = step
        self.metrics |= metrics
        self.result.metrics = dict(self.metrics)
        self.monitors.remember(step, metrics)
        with self.loop.timing("tracking"):
            self.directory.append_metrics(step, self.loop.epoch, metrics)

    def _stopped(self) -> str:
        """Return why a callback or a hook ended the run early, as all ranks know."""
        return self.interrupts.stopped if self.loop.step < self.loop.steps else ""

    def _closed(self) -> None:
        """Take no more requests, and say that the trackers let go of the run."""
        before = len(self.warnings)
        self.result.requests, self.result.find_mlflow = None, dict
        self.events.hook("ebmcore_run_closed", run=self.result)
        self._reveal()
        if len(self.warnings) > before:
            with suppress(OSError, EbmError):
                self.directory.update(warnings=self.warnings)

    def event(self, step: int, event: str, **facts: Any) -> None:
        """Record what happened to the run beside its steps."""
        self.directory.append_event(step, event, **facts)
        self.directory.log("WARNING", f"step {step}: {event}: {facts}")

    def _failed(self, error: Exception) -> Exception:
        """Note a failure as far as the disk still lets us, and return it."""
        try:
            self.saves.settle()
        except KeyboardInterrupt:
            self.at_once = True
            self.saves.abandon()
        except Exception as other:
            self.directory.log("ERROR", f"the last checkpoint could not be finished: {other}")
        self.status = "FAILED"
        self.directory.follow()
        self._reveal()
        self.directory.log("ERROR", traceback.format_exc())
        if isinstance(error, RankError):
            error = self.ranks.explain(error, self.directory.log)
        self.events.error(error)
        return error

    def save(self, why: str) -> None:
        """Write a checkpoint of a step that was done."""
        self._reveal()
        self.saves(why)

    def _record(self) -> dict[str, Any]:
        """Return what a resumed run must know beside the loop's state."""
        return {
            "warnings": list(self.warnings), "best": self.best.state(),
            **self.rollback.state_dict(), **self.events.state(),
            "seconds": self._seconds(), "seconds_by_part": dict(self.loop.timing.seconds),
            "monitors": self.monitors.state_dict(),
            **limits_record(self.loop.train_step),
            **({"stopped": why} if (why := self._stopped()) else {}),
        }  # fmt: skip

    def _profiler(self) -> AbstractContextManager[Any]:
        if not self.spec.profile:
            return nullcontext()
        from ebmcore.monitoring.profiling import Profiler

        write, steps = partial(self.directory.write, PROFILE), self.loop.steps - self.loop.step
        profiler = Profiler(write, steps, self.parts.device)
        self.loop.after_step = profiler.step
        return profiler

    def _seconds_by_part(self) -> dict[str, float]:
        """Return the table of where the time went, monitors included."""
        self.result.seconds_by_part = self.loop.timing.table(self.monitors.seconds_by_label())
        return self.result.seconds_by_part

    def _seconds(self) -> float:
        return round(self.seconds + time.perf_counter() - self.began, 3)

    def diverged(self, divergence: Divergence) -> None:
        """Roll back to the last good checkpoint, or raise DivergenceError that names it."""
        self.saves.settle()
        self.rollback(divergence)

    def _close(self, followers: Followers | None, failure: BaseException | None) -> None:
        """Write how the run ended, here and in its trackers."""
        self.monitors.close(wait=not self.at_once)
        self.directory.update(
            status=self.status,
            step=self.loop.step,
            ended=self.directory.clock(),
            seconds=self._seconds(),
            seconds_by_monitor={k: round(v, 3) for k, v in self.monitors.seconds.items()},
            seconds_by_part=self._seconds_by_part(),
            compile=compile_record(self.compile_decision, self.loop.train_step),
            metrics={k: v if math.isfinite(v) else str(v) for k, v in self.metrics.items()},
            rollbacks=self.rollback.number,
            skipped=self.loop.skips.total,
            best=self.best.state(),
            error=None if failure is None else str(failure),
            ended_early=self.interrupts.early or None,
            stopped=self._stopped() or None,
        )
        for text in slow_monitors(self.monitors.seconds, self._seconds()):
            self.warn(text)
        if self.loop.skips.total:
            self.warn(f"{self.loop.skips.total} steps were skipped: see events.jsonl")
        if followers is not None:
            patience = _HURRIED if isinstance(failure, RankError) else _PATIENT
            patience = _AT_ONCE if self.at_once else patience
            leaves = self.interrupts.number != 0
            for text in followers.finish(self.status, timeout=patience, leaves=leaves):
                self.warn(text)
            self.result.mlflow = self.directory.read().get("mlflow") or {}
        self.directory.update(warnings=self.warnings)
        self.directory.release()

    def _close_anyway(self, followers: Followers | None, failure: BaseException) -> None:
        """Write at least that it FAILED, where that can still be written: its end raised."""
        with suppress(OSError, EbmError):
            self.directory.update(
                status=self.status, ended=self.directory.clock(), error=str(failure)
            )
        if followers is not None:
            with suppress(OSError, EbmError):
                followers.finish(self.status, timeout=_HURRIED)

    def warn(self, text: str) -> None:
        """Record a warning in the run and show it."""
        text = mask(text)
        self.warnings.append(text)
        self.directory.log("WARNING", text)
        self.progress.say(f"warning: {text}")
