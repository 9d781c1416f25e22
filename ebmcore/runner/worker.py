"""One rank besides rank 0: it trains its share, and hands over what rank 0 records of it."""

from __future__ import annotations

import shutil
import traceback
from contextlib import suppress
from typing import Any

from ebmcore.checkpoint.files import Checkpoint
from ebmcore.checkpoint.snapshot import hand_over, put_back, roll_back
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.init_sync import begin_alike
from ebmcore.errors import DivergenceError, EbmError, RankError, RunError, RunInterrupted
from ebmcore.runner.run import Run
from ebmcore.runner.session import Session
from ebmcore.runner.spec import RunSpec, prepare_training
from ebmcore.runs.directory import RunDirectory
from ebmcore.terminal import protected
from ebmcore.trackers.mlflow.sync import sync
from ebmcore.train.divergence import Found
from ebmcore.train.loop import Hands
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
        self.loop, self.interrupts, self.threads, _ = prepare_training(
            spec, ranks, lambda text: None
        )
        self.result = Run.of(directory.path, self.loop.energy, spec.parts, spec.seed)
        if resumes:
            name = ranks.word("")
            if name:
                put_back(self._checkpoint(name), self.loop)

    def run(self) -> Run:
        """Train to the end, a signal or a failure, as rank 0 does.

        Raises RunError when this rank or another failed, RunInterrupted after a signal.
        """
        status, failure = "KILLED", None
        with protected(), self.interrupts:
            try:
                self._train()
                status = "FINISHED" if self.loop.step >= self.loop.steps else "KILLED"
            except KeyboardInterrupt:
                pass
            except Exception as error:
                status, failure = "FAILED", error
                if isinstance(error, RankError):
                    self._bury(error)
                else:
                    self.ranks.tell_failure(traceback.format_exc())
        self.loop.energy.eval()
        self.result.status, self.result.step = status, self.loop.step
        if failure is not None:
            raise RunError(f"rank {self.ranks.rank} FAILED: {failure}", self.result) from failure
        if status == "KILLED":
            number = self.interrupts.number or self.interrupts.heard or 2
            raise RunInterrupted(number, self.result)
        return self.result

    def _train(self) -> None:
        seed = self.spec.streams.derived("global")
        hands = Hands(_nothing, self._save, self._diverged, _nothing, Silent())
        with using(self.threads.number), own_global_stream(seed, self.parts.device):
            self.spec.streams.restore_global()
            self.loop.run(MonitorSchedule(self.parts), hands)

    def _save(self, why: str) -> None:
        hand_over(self.loop)

    def _diverged(self, found: Found) -> None:
        """Do what rank 0 decides: roll back to a checkpoint that it names, or stop."""
        name, _, why = self.ranks.word("").partition(" ")
        if not name:
            raise DivergenceError(str(found.error()))
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


def _nothing(*args: Any, **facts: Any) -> None:
    """Leave it to rank 0."""


def execute(
    spec: RunSpec, directory: RunDirectory, ranks: Ranks, *, progress: bool, resumes: bool = False
) -> Run:
    """Train: rank 0 records the run, the other ranks work for it."""
    begin_alike(ranks, spec.parts.data.x, spec.parts.modules)
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
