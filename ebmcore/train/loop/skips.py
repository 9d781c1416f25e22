"""`on_divergence: skip`: a step whose numbers are not finite is dropped before it is applied."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from ebmcore.config import Train
from ebmcore.distributed.comm import Ranks
from ebmcore.train.components import OF_RANK_0, Parts
from ebmcore.train.divergence import Divergence, beyond_bound, beyond_gap, first_non_finite
from ebmcore.train.loop.energies import energies_of
from ebmcore.train.loop.pending_metrics import PendingMetrics
from ebmcore.train.loop.recorder import Recorder
from ebmcore.train.types import StepResult


class Skips:
    """Looks at each step before it is applied, and undoes one that diverged.

    Args:
        parts: What a step may write to before it is applied.
        train: Its `max_energy`, `max_gap` and `max_skips`.
        ranks: All of them skip the same steps.
        pending: The last finite values, for messages.
        with_chains: Whether a step moves the chains before it is applied.
    """

    def __init__(
        self,
        parts: Parts,
        train: Train,
        ranks: Ranks,
        pending: PendingMetrics,
        *,
        with_chains: bool,
    ) -> None:
        self.parts = parts
        self.train = train
        self.ranks = ranks
        self.pending = pending
        self.with_chains = with_chains
        self.active = train.on_divergence == "skip"
        self.total = 0
        self.in_a_row = 0
        self._buffers: list[tuple[Tensor, Tensor]] = []  # each with its copy
        self._states: list[tuple[Any, Any]] = []

    def before_step(self) -> None:
        """Copy the state that a step changes before it is applied."""
        if self.active:
            self._buffers = [(buffer, buffer.clone()) for buffer in self.parts.buffers]
            self._states = [(part, copy.deepcopy(part.state_dict())) for part in self._stateful()]

    def drops(self, proposal: StepResult, step: int, recorder: Recorder) -> bool:
        """Return whether a step, counted from 1, is skipped; if so, restore the copies.

        Raises DivergenceError after `train.max_skips` skipped steps in a row.
        """
        if not self.active:
            return False
        divergence = self._divergence_in(proposal, step)
        if divergence is None:
            self.in_a_row = 0
            return False
        for buffer, before in self._buffers:
            buffer.copy_(before)
        for part, state in self._states:
            part.load_state_dict(state)
        self.total += 1
        self.in_a_row += 1
        recorder.event(step, "skipped", why=divergence.text, in_a_row=self.in_a_row)
        if self.in_a_row >= self.train.max_skips:
            steps = f"{self.in_a_row} steps in a row were skipped (train.max_skips)"
            raise divergence._replace(text=f"{divergence.text}; {steps}").error()
        return True

    def _stateful(self) -> list[Any]:
        """Return the parts that change their state in a step: the sampler, losses, chains.

        Modules are not among them: they change their buffers.
        """
        parts: list[Any] = [
            part
            for name, part in self.parts.stateful
            if not (name.startswith(OF_RANK_0) or isinstance(part, nn.Module))
        ]
        if self.with_chains and self.parts.chains is not None:
            parts.append(self.parts.chains)
        return parts

    def _divergence_in(self, proposal: StepResult, step: int) -> Divergence | None:
        """Copy a step's numbers to the host and look for one that is not finite."""
        values = self.pending.to_host([proposal.metrics])
        divergence = first_non_finite(self.parts, values, [step], self.pending.finite)
        # without a bound, look at energies only where the last fetch may have found a divergence
        due = step - 1 == self.pending.fetched or self.in_a_row > 0
        bound, max_gap = self.train.max_energy, self.train.max_gap
        bounded = bound is not None or max_gap is not None
        if divergence is None and (bounded or (due and proposal.x_neg is not None)):
            means, largest = energies_of(proposal, self.parts, self.ranks)
            divergence = beyond_bound(self.parts, largest, bound, step)
            divergence = divergence or beyond_gap(means, max_gap, step)
        return divergence
