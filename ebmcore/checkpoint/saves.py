"""The checkpoints of a run that trains: which state each holds, and what its record says of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ebmcore.checkpoint.best import Best
from ebmcore.checkpoint.files import newest, prune
from ebmcore.checkpoint.rollback import Rollback
from ebmcore.checkpoint.snapshot import take_snapshot
from ebmcore.checkpoint.writer import CheckpointWriter
from ebmcore.errors import CheckpointError, DirectoryError, DivergenceError, RankError
from ebmcore.runs.directory import RunDirectory
from ebmcore.train.divergence import is_finite
from ebmcore.train.loop import Loop


class Saves:
    """Saves the state of a loop, on rank 0.

    Args:
        loop: The loop.
        directory: The run.
        best: The step of its best checkpoint.
        rollback: The step that it may roll back to.
        record: Returns what a resumed run must know beside the loop's state.
        show: Called with the path of each finished checkpoint.
    """

    def __init__(
        self,
        loop: Loop,
        directory: RunDirectory,
        best: Best,
        rollback: Rollback,
        record: Callable[[], dict[str, Any]],
        show: Callable[[Path], None],
    ) -> None:
        self.loop = loop
        self.directory = directory
        self.best = best
        self.rollback = rollback
        self.record = record
        self.writer = CheckpointWriter(directory.checkpoints, show)
        self.after_step = self.writer.after_step
        self.abandon = self.writer.abandon

    def __call__(self, why: str) -> None:
        """Write a checkpoint of a step that was done, and drop those that are too many."""
        self.settle()
        self.directory.sync_metrics()
        loop, step = self.loop, self.loop.step
        with loop.timing("checkpoints"):
            self.rollback.judge()
            keep = (loop.train.keep_checkpoints, self.best.step, self.rollback.well)
            record = partial(
                self.directory.update,
                step=step,
                checkpoint={"step": step, "why": why},
                best=self.best.state(),
            )

            def then() -> None:
                record()  # first: the best checkpoint that run.json names is always there
                prune(self.directory.checkpoints, *keep)

            last = loop.done or loop.interrupts.number is not None
            self.writer.write(take_snapshot(loop, self.record()), then, at_once=last)

    def settle(self) -> None:
        """Wait until all checkpoints so far are finished. Raises CheckpointError if one can't be.

        Those are shown then.
        """
        if self.writer.busy:
            with self.loop.timing("checkpoints"):
                self.writer.wait()
        self.writer.after_step()

    def save_failed(self, failure: BaseException) -> None:
        """Save the weights that a failed run had, if they are numbers and the disk takes them.

        The step that failed has drawn from the streams, so a resumed run begins before it.
        """
        parts = self.loop.parts
        after_good = isinstance(failure, DivergenceError) and newest(self.directory.checkpoints)
        if isinstance(failure, (CheckpointError, DirectoryError)) or after_good:
            return
        if isinstance(failure, RankError) and parts.device.type != "cpu":
            return  # the device may wait for the rank that is gone, and whoever asks it waits too
        if not is_finite(parts, self.loop.infinite_buffers):
            return
        try:
            contents = take_snapshot(self.loop, self.record(), whole=False)
            self.writer.write(contents, lambda: None, at_once=True)
        except Exception as error:
            self.directory.log("ERROR", f"the weights could not be saved: {error}")
