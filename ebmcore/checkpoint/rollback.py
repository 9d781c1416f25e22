"""`on_divergence: rollback`: a run that diverged goes on from its last good checkpoint."""

from __future__ import annotations

from collections.abc import Callable

from ebmcore.checkpoint.files import Checkpoint, newest
from ebmcore.checkpoint.snapshot import roll_back
from ebmcore.errors import DivergenceError
from ebmcore.runs.directory import RunDirectory
from ebmcore.train.divergence import Divergence
from ebmcore.train.loop import Loop


class Rollback:
    """Rolls a run back on rank 0, which tells the other ranks where to.

    Args:
        loop: The loop to roll back.
        directory: The run, with its checkpoints.
        event: Records what happened.
        warn: Tells the user.
    """

    def __init__(
        self,
        loop: Loop,
        directory: RunDirectory,
        event: Callable[..., None],
        warn: Callable[[str], None],
    ) -> None:
        self.loop = loop
        self.directory = directory
        self.event = event
        self.warn = warn
        self.number = 0  # of rollbacks so far

    def __call__(self, divergence: Divergence) -> None:
        """Roll back to the last good checkpoint, or raise DivergenceError that names it."""
        loop, train, folder = self.loop, self.loop.train, self.directory.checkpoints
        good = newest(folder)
        rolls = (divergence.response or train.on_divergence) == "rollback"
        if good is None or not rolls or self.number >= train.max_rollbacks:
            tried = f" after {self.number} rollbacks (train.max_rollbacks)" if rolls else ""
            last = "no checkpoint was written before" if good is None else f"last good: {good}"
            loop.ranks.broadcast_text("")
            raise DivergenceError(f"{divergence.error()}{tried}; {last}")
        self.number += 1
        checkpoint = Checkpoint.last(folder, whole=True, warn=self.warn)
        why = f"rollback {self.number} at {divergence.step}"
        loop.ranks.broadcast_text(f"{checkpoint.path.name} {why}")
        roll_back(checkpoint, loop, train.rollback_lr, why)
        rate = float(loop.parts.optimizer.param_groups[0]["lr"])
        self.event(
            loop.step, "rollback", why=divergence.text, to=checkpoint.step, lr=rate,
            number=self.number,
        )  # fmt: skip
        self.warn(
            f"step {divergence.step}: {divergence.text}; rolled back to step {checkpoint.step} "
            f"({self.number} of at most {train.max_rollbacks}), learning rate {rate:g}"
        )
