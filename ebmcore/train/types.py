"""A finished training step, and a progress display that shows nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from torch import Tensor

from ebmcore.contracts import Chains, Conditions, Start
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.gather import all_chains, all_info, all_rows


class StepResult(NamedTuple):
    """The tensors of one training step; metrics stay on the device."""

    x: Tensor  # (batch, *event), with the noise that was added
    x_neg: Tensor | None  # (batch, *event)
    info: Any  # of the sampler's last step
    metrics: dict[str, Tensor]  # scalars
    end: Start | None = None  # the ends of the chains, to keep: x⁻ and what goes with it
    conditions: Conditions = Conditions()  # of x

    @property
    def of_x_neg(self) -> Conditions:
        """The conditions of x_neg; labels where the energy is conditional."""
        return Conditions() if self.end is None else self.end.conditions


def gathered(
    ranks: Ranks, last: StepResult | None, chains: Chains | None
) -> tuple[StepResult | None, Chains | None]:
    """Return on rank 0 the last step and the chains of all ranks, its own first.

    Every rank must call it; the others get their arguments back. Metrics are the rank's own.
    """
    if ranks.size == 1:
        return last, chains
    chains = all_chains(ranks, chains)
    if last is None:
        return last, chains
    x_neg = None if last.x_neg is None else all_rows(ranks, last.x_neg)
    x, info = all_rows(ranks, last.x), all_info(ranks, last.info)
    conditions, (y_neg, mask_neg) = (
        Conditions(*(None if rows is None else all_rows(ranks, rows) for rows in each))
        for each in (last.conditions, last.of_x_neg)
    )
    end = None if x_neg is None else Start(x_neg, y_neg, mask=mask_neg)
    return StepResult(x, x_neg, info, last.metrics, end, conditions), chains


class Silent:
    """A progress display that shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def update(self, step: int, loss: float, gap: float | None, rate: float) -> None:
        """Show the step, its loss, the energy gap and the steps per second."""

    def compiling(self) -> AbstractContextManager[None]:
        """Show that the step is being compiled, while the context lasts."""
        return nullcontext()

    def say(self, text: str) -> None:
        """Show a line of text."""
