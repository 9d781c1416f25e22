"""A rank other than rank 0: it trains on its share and sends its state to rank 0."""

from __future__ import annotations

import shutil
import traceback
from contextlib import suppress
from typing import Any

from ebmcore.checkpoint.files import Checkpoint
from ebmcore.checkpoint.snapshot import restore, roll_back, send_rank_state
from ebmcore.compile.policy import repeat_limits
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.init_sync import sync_initial_state
from ebmcore.errors import DivergenceError, EbmError, RankError, RunError, RunInterrupted
from ebmcore.runner.run import Run
from ebmcore.runner.session import Session
from ebmcore.runner.spec import RunSpec, prepare_training
from ebmcore.runs.directory import RunDirectory
from ebmcore.terminal import protected
from ebmcore.trackers.sync_run import sync
from ebmcore.train.divergence import Divergence
from ebmcore.train.monitor_schedule import MonitorSchedule
from ebmcore.train.rng import own_global_stream
from ebmcore.train.threads import using
from ebmcore.train.types import Silent


class Worker:
    """The session of a further rank: it trains, and records nothing itself."""

    def __init__(
        self,
        spec: RunSpec,
        directory: RunDirectory,
        ranks: Ranks,
        *,
        resumes: bool,
    ) -> None:
        self.spec = spec
        self.parts = spec.parts
        self.directory = directory  # rank 0's, read here alone, while rank 0 lives
        self.ranks = ranks
        self.progress = Silent()
        self.loop, self.interrupts, self.threads, _ = prepare_training(
            spec, ranks, lambda text: None
        )
        self.result = Run.of(directory.path, self.loop, spec.seed, spec.origin.host)
        if resumes:
            name = ranks.broadcast_text("")
            if name:
                record, _ = restore(self._checkpoint(name), self.loop)
                repeat_limits(self.loop.train_step, record)
                self.interrupts.resume_stopped(record.get("stopped", ""))

    def run(self) -> Run:
        """Train to the end, a signal or a failure, as rank 0 does.

        Raises RunError when this rank or another failed, RunInterrupted after a signal.
        """
        status, failure = "KILLED", None
        with protected(), self.interrupts:
            try:
                self._train()
                status = "FINISHED" if self.loop.done else "KILLED"
            except KeyboardInterrupt:
                pass
            except Exception as error:
                status, failure = "FAILED", error
                if isinstance(error, RankError):
                    self._bury(error)
                else:
                    self.ranks.report_failure(traceback.format_exc())
        self.loop.eval()
        self.result.status, self.result.step = status, self.loop.step
        self.result.stopped = self.interrupts.stopped if self.loop.step < self.loop.steps else ""
        if failure is not None:
            raise RunError(f"rank {self.ranks.rank} FAILED: {failure}", self.result) from failure
        if status == "KILLED":
            number = self.interrupts.number or self.interrupts.received or 2
            raise RunInterrupted(number, self.result)
        return self.result

    def _train(self) -> None:
        seed = self.spec.streams.derived("global")
        with using(self.threads.number), own_global_stream(seed, self.parts.device):
            self.spec.streams.restore_global()
            self.loop.run(MonitorSchedule(self.parts), self)

    def write(self, step: int, metrics: dict[str, float]) -> dict[str, float]:
        """Return the metrics; rank 0 records them."""
        return metrics

    def event(self, step: int, event: str, **facts: Any) -> None:
        """Do nothing; rank 0 records events."""

    def save(self, why: str) -> None:
        """Send this rank's state to rank 0, which writes the checkpoint."""
        send_rank_state(self.loop)

    def warn(self, text: str) -> None:
        """Leave a warning to rank 0."""

    def diverged(self, divergence: Divergence) -> None:
        """Roll back to the checkpoint that rank 0 names, or raise DivergenceError."""
        name, _, why = self.ranks.broadcast_text("").partition(" ")
        if not name:
            raise DivergenceError(str(divergence.error()))
        roll_back(self._checkpoint(name), self.loop, self.spec.train.rollback_lr, why)

    def _checkpoint(self, name: str) -> Checkpoint:
        place = self.directory.checkpoints / name
        if not place.is_dir():
            raise RankError(
                f"{place}: rank {self.ranks.rank} doesn't see what rank 0 wrote; all ranks need "
                "one file system"
            )
        return Checkpoint(place)

    def _bury(self, error: RankError) -> None:
        """Record the end of a run whose rank 0 is gone; one that lives holds the lock."""
        with suppress(EbmError, OSError, ValueError):
            with self.directory as directory:
                if directory.read().get("status") != "RUNNING":
                    return
                text = f"rank 0 is gone: {error}"
                directory.log("ERROR", f"{text}\n{traceback.format_exc()}")
                directory.update(status="FAILED", ended=directory.clock(), error=text)
            sync(self.directory.path)


def execute(
    spec: RunSpec, directory: RunDirectory, ranks: Ranks, *, progress: bool, resumes: bool = False
) -> Run:
    """Train: rank 0 records the run, the other ranks work for it."""
    sync_initial_state(ranks, spec.parts.data.x, spec.parts.modules)
    if ranks.rank:
        return Worker(spec, directory, ranks, resumes=resumes).run()
    with directory:
        try:
            session = Session(spec, directory, ranks, show=progress, resumes=resumes)
        except BaseException:
            if not resumes:  # it holds nothing yet
                shutil.rmtree(directory.path, ignore_errors=True)
            raise
        return session.run()
