"""The trials of a study: which count, how many may still begin, which are retried."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from ebmcore_sweep.search.definition import Budget
from ebmcore_sweep.storage.guarded import FAILED_TRIAL, RETRY_HISTORY
from ebmcore_sweep.storage.store import try_again

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

EXHAUSTED = "ebmcore.exhausted"  # of a study: its sampler has nothing more to try
WORKER = "worker"  # of a trial: who is at it
RUN_DIR = "run_dir"  # of a trial: where its run is
ERROR = "error"  # of a trial: why it failed
SURPLUS = "surplus"  # of a trial: another worker began the last one at the same moment


class Tally(NamedTuple):
    """The trials that count: one that was retried after its worker died counts once."""

    trials: tuple[FrozenTrial, ...]
    minutes: float  # in which at least one trial ran
    exhausted: bool

    @property
    def ended(self) -> tuple[FrozenTrial, ...]:
        """Trials that are complete, pruned or failed."""
        return tuple(t for t in self.trials if t.state.is_finished())

    @property
    def complete(self) -> tuple[FrozenTrial, ...]:
        """Trials that have a value."""
        return self._in("COMPLETE")

    @property
    def pruned(self) -> tuple[FrozenTrial, ...]:
        """Trials that the pruner ended early."""
        return self._in("PRUNED")

    @property
    def failed(self) -> tuple[FrozenTrial, ...]:
        """Trials whose run failed, or whose workers all died."""
        return self._in("FAIL")

    @property
    def running(self) -> tuple[FrozenTrial, ...]:
        """Trials that are being trained."""
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
    again = {number for t in everything for number in t.system_attrs.get(RETRY_HISTORY, ())}
    counting = (
        t for t in everything if t.number not in again and not t.user_attrs.get(SURPLUS, False)
    )
    return Tally(tuple(counting), _minutes(everything), bool(study.user_attrs.get(EXHAUSTED)))


def is_surplus(study: Study, number: int, budget: Budget) -> bool:
    """Whether a trial was begun beyond the budget, as two workers may at the same moment."""
    before = [t for t in tally(study).trials if t.number <= number]
    tried_again = any(RETRY_HISTORY in t.system_attrs for t in before if t.number == number)
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


def give_back(study: Study, number: int, *, retries: int) -> None:
    """End a trial whose worker died, and have it tried again, so many times at most."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    try:
        study.tell(number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):  # somebody else did
        return
    queue_again(study, number, retries=retries)


def queue_again(study: Study, number: int, *, retries: int | None) -> None:
    """Put a trial that has ended back in the queue, so many times at most."""
    if (trial := trial_of(study, number)) is not None:
        try_again(retries)(study, trial)


def trial_of(study: Study, number: int) -> FrozenTrial | None:
    """Return a copy of the trial with this number."""
    return next((t for t in study.get_trials() if t.number == number), None)


def first_number(study: Study, number: int) -> int:
    """Return the number that a trial had when it was first tried."""
    trial = trial_of(study, number)
    return number if trial is None else int(trial.system_attrs.get(FAILED_TRIAL, number))
