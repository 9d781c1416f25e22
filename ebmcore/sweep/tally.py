"""Which of a study's trials count, and whether another may begin."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ebmcore.sweep.definition import Budget

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

EXHAUSTED = "ebmcore.exhausted"  # of a study: its sampler has nothing more to try
SURPLUS = "surplus"  # of a trial: another worker began the last one at the same moment


class Tally(NamedTuple):
    """The trials that count: each tried once, however often a worker died at it."""

    trials: tuple[FrozenTrial, ...]
    minutes: float  # in which at least one trial ran
    exhausted: bool

    @property
    def ended(self) -> tuple[FrozenTrial, ...]:
        """Those that are complete, pruned or failed."""
        return tuple(t for t in self.trials if t.state.is_finished())

    @property
    def complete(self) -> tuple[FrozenTrial, ...]:
        """Those that have a value."""
        return self._in("COMPLETE")

    @property
    def pruned(self) -> tuple[FrozenTrial, ...]:
        """Those that were not worth their end."""
        return self._in("PRUNED")

    @property
    def failed(self) -> tuple[FrozenTrial, ...]:
        """Those whose run failed, or whose workers all died."""
        return self._in("FAIL")

    @property
    def running(self) -> tuple[FrozenTrial, ...]:
        """Those that a worker is at."""
        return self._in("RUNNING")

    def to_begin(self, budget: Budget) -> int:
        """Return how many more trials may begin now, those that are tried again among them."""
        if budget.minutes is not None and self.minutes >= budget.minutes:
            return 0
        waiting = len(self._in("WAITING"))
        if self.exhausted:
            return waiting
        if budget.trials is None:
            return 10**9
        return waiting + max(0, budget.trials - len(self.trials))

    def _in(self, state: str) -> tuple[FrozenTrial, ...]:
        return tuple(t for t in self.trials if t.state.name == state)


def tally(study: Study) -> Tally:
    """Count a study's trials: one that is tried again counts once, and a surplus one not at all."""
    everything = study.get_trials(deepcopy=False)
    again = {number for t in everything for number in t.system_attrs.get("retry_history", ())}
    counting = (
        t for t in everything if t.number not in again and not t.user_attrs.get(SURPLUS, False)
    )
    return Tally(tuple(counting), _minutes(everything), bool(study.user_attrs.get(EXHAUSTED)))


def is_surplus(study: Study, number: int, budget: Budget) -> bool:
    """Whether a trial was begun beyond the budget, as two workers may at the same moment."""
    before = [t for t in tally(study).trials if t.number <= number]
    (own,) = (t for t in before if t.number == number)
    tried_again = "retry_history" in own.system_attrs
    return budget.trials is not None and len(before) > budget.trials and not tried_again


def _minutes(trials: Iterable[FrozenTrial]) -> float:
    """Return in how many minutes at least one trial ran."""
    now = datetime.fromtimestamp(time.time())  # as Optuna's own times, without a zone
    spans = sorted(
        (t.datetime_start, t.datetime_complete or now) for t in trials if t.datetime_start
    )
    seconds, until = 0.0, datetime.min
    for begin, end in spans:
        seconds += max(0.0, (end - max(begin, until)).total_seconds())
        until = max(until, end)
    return seconds / 60
