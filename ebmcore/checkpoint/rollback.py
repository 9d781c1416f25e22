"""`on_divergence: rollback`: a run that diverged goes on from its last good checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ebmcore.checkpoint.files import Checkpoint, newest
from ebmcore.checkpoint.snapshot import roll_back
from ebmcore.errors import DivergenceError
from ebmcore.runs.directory import RunDirectory
from ebmcore.train.divergence import Divergence
from ebmcore.train.loop import Loop

_SMALL = 0.5  # share of train.max_gap: a checkpoint just below the bound would cross it again


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
        self.well: int | None = None  # step of the last checkpoint whose gap was small; with
        # train.max_gap, since a gap grows for long, and the newest checkpoint is then amiss, too

    def judge(self) -> None:
        """Remember the checkpoint that is about to be written if its gap is small."""
        bound = self.loop.train.max_gap
        if bound is not None and abs(self.loop.gap) <= _SMALL * bound:
            self.well = self.loop.step

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know to roll back as this one would."""
        state: dict[str, Any] = {"rollbacks": self.number}
        if self.loop.train.max_gap is not None:
            state |= {"well": self.well, "gap": self.loop.gap}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`."""
        self.number = int(state["rollbacks"])
        self.well, self.loop.gap = state.get("well"), state.get("gap", 0.0)

    def __call__(self, divergence: Divergence) -> None:
        """Roll back to the last good checkpoint, or raise DivergenceError that names it."""
        loop, train, folder = self.loop, self.loop.train, self.directory.checkpoints
        up_to = self.well if divergence.of_gap else None
        good = newest(folder, up_to)
        rolls = (divergence.response or train.on_divergence) == "rollback"
        if good is None or not rolls or self.number >= train.max_rollbacks:
            tried = f" after {self.number} rollbacks (train.max_rollbacks)" if rolls else ""
            last = "no checkpoint was written before" if good is None else f"last good: {good}"
            loop.ranks.broadcast_text("")
            raise DivergenceError(f"{divergence.error()}{tried}; {last}")
        self.number += 1
        checkpoint = Checkpoint.last(folder, whole=True, warn=self.warn, up_to=up_to)
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
