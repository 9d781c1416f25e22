"""A worker: it takes one trial after another from the study, and trains each as a run."""

from __future__ import annotations

import math
import os
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ebmcore import EbmError, Run, RunError, RunInterrupted, resume, run
from ebmcore.runs import (
    KEY_VARIABLE,
    LABEL_VARIABLE,
    PARENT_VARIABLE,
    RUN_VARIABLE,
    read_account,
    recorded_parent,
    runs_folder,
)
from ebmcore.train import Interrupts
from ebmcore_sweep.search.definition import Sweep
from ebmcore_sweep.search.label import label
from ebmcore_sweep.search.space import OutsideError
from ebmcore_sweep.search.tally import (
    ERROR,
    EXHAUSTED,
    RUN_DIR,
    SURPLUS,
    WORKER,
    first_number,
    is_surplus,
    queue_again,
    tally,
    trial_of,
)
from ebmcore_sweep.search.verify import overridden
from ebmcore_sweep.seeds.api import resume_seeds, run_seeds
from ebmcore_sweep.seeds.group import Group
from ebmcore_sweep.storage.guarded import StorageError

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

_LOST = "another worker has this trial now, since this one was taken for dead"


class NoValueError(EbmError):
    """A run that ended without a value to judge it by."""


class Listening:
    """Reports a run to Optuna while it trains, and ends it when Optuna prunes it."""

    def __init__(self, trial: Trial, metric: str, interrupts: Interrupts) -> None:
        self.trial = trial
        self.metric = metric
        self.interrupts = interrupts
        self._told: set[int] = set()

    def run_started(self, run: Run) -> None:
        """Record the directory of a run of one seed that begins."""
        self.begun(run.dir)

    def begun(self, run_dir: Path) -> None:
        """Record the run's directory, so that another worker can resume it."""
        self.trial.set_user_attr(RUN_DIR, str(run_dir.absolute()))
        if self.interrupts.number is not None:  # a signal that came while the parts were made
            raise KeyboardInterrupt

    def metrics_recorded(self, step: int, metrics: Mapping[str, float]) -> str:
        """Report the objective; return why the run should end here, or an empty text."""
        from optuna.exceptions import UpdateFinishedTrialError

        value = metrics.get(self.metric)
        if value is None or not math.isfinite(value) or step in self._told:
            return ""
        self._told.add(step)
        try:
            self.trial.report(value, step)
            prune = self.trial.should_prune()
        except UpdateFinishedTrialError:
            return _LOST
        except EbmError:
            raise
        except Exception as error:  # of the pruner's, by what it finds in other trials
            raise _confused("pruner", error) from error
        return f"pruned at step {step}: {self.metric} was {value:.6g}" if prune else ""


class Parent(NamedTuple):
    """The sweep's own run, whose children the trials' runs are."""

    run_dir: Path
    token: str | None  # of its MLflow run


class Worker:
    """Works on a study until its budget is used up, or a signal comes.

    Args:
        study: The study.
        sweep: Its sweep.
        name: The worker's.
        parent: The sweep's run; None leaves the trials' runs without one.
        plugins: Names and local files, as any run takes them.
        runs_dir: Where run directories go, as of any run.
        homes: Further folders in which runs may be gone on with that another worker left.
        say: Hears what the worker has to say.
    """

    def __init__(
        self,
        study: Study,
        sweep: Sweep,
        *,
        name: str,
        parent: Parent | None,
        plugins: Sequence[str],
        runs_dir: str | Path | None,
        homes: Sequence[Path] = (),
        say: Callable[[str], None],
    ) -> None:
        self.study = study
        self.sweep = sweep
        self.name = f"{name}@{socket.gethostname()}:{os.getpid()}"
        self.parent = parent
        self.plugins = plugins
        self.runs_dir = runs_dir
        self.homes = (runs_folder(runs_dir).absolute(), *homes)
        self.say = say
        self.confused: EbmError | None = None  # why no other trial can be begun
        self.done = 0  # trials that this worker ended
        self.trial: int | None = None  # the one it is at, or was at last
        self.leaves = False  # whether a signal ended a run of this worker's
        self.stopped = False  # whether we, and not the sampler, had Optuna stop
        self.interrupts = Interrupts()

    def work(self) -> int:
        """Take trials until none may begin; return how many were ended here.

        Raises RunInterrupted after a signal, its trial back in the queue; StorageError when the
        storage can't be used, or holds what Optuna can't go on from.
        """
        with self.interrupts:
            while self._may_begin() and self._optimize():
                pass
        if self.leaves or self.interrupts.number is not None:
            raise KeyboardInterrupt
        return self.done

    def _optimize(self) -> bool:
        """Let Optuna go on; return whether there may be more to do when it has stopped."""
        from optuna.exceptions import UpdateFinishedTrialError

        self.stopped = False
        try:
            self.study.optimize(self._try, callbacks=[self._after], catch=(Exception,))
        except RunInterrupted:
            if self.trial is not None:  # which Optuna has ended as failed
                queue_again(self.study, self.trial, retries=None)
                self.say(f"trial {self.trial} goes back to the queue")
            raise
        except EbmError:
            raise
        except Exception as error:
            lost = isinstance(error, (UpdateFinishedTrialError, ValueError)) and self._has_ended()
            if not lost:
                raise _behind(error) or _confused("sampler", error) from error
            self.say(f"trial {self.trial}: {_LOST}")
            return True
        if self.confused is not None:
            raise self.confused
        if not self.stopped:  # then the sampler did
            self.study.set_user_attr(EXHAUSTED, True)
        return False

    def _has_ended(self) -> bool:
        trial = None if self.trial is None else trial_of(self.study, self.trial)
        return trial is not None and trial.state.is_finished()

    def _after(self, study: Study, trial: FrozenTrial) -> None:
        self.done += 1
        if self.confused is not None or not self._may_begin():
            self.stopped = True
            study.stop()

    def _may_begin(self) -> bool:
        if self.leaves or self.interrupts.number is not None:
            return False
        return tally(self.study).to_begin(self.sweep.budget) > 0

    def _try(self, trial: Trial) -> float:
        """Train one trial, and return its value."""
        from optuna import TrialPruned

        self.trial = trial.number
        trial.set_user_attr(WORKER, self.name)
        if is_surplus(self.study, trial.number, self.sweep.budget):
            trial.set_user_attr(SURPLUS, True)
            raise NoValueError("the budget was used up by another worker at the same moment")
        try:
            key = f"trial-{first_number(self.study, trial.number)}"
            values = self._suggest(trial)
            with _child(self.parent, key, label(values)):
                done = self._train(trial, values, key)
            if isinstance(done, Run) and done.ended_early.startswith("pruned"):
                self.say(f"trial {trial.number} {done.ended_early}")
                raise TrialPruned(done.ended_early)
            value = self._value(done)
        except TrialPruned:
            raise
        except RunInterrupted:
            self.leaves = True
            raise
        except StorageError as error:
            self.confused = error
            raise
        except Exception as error:
            trial.set_user_attr(ERROR, str(error) or repr(error))
            self.say(f"trial {trial.number} failed: {error}")
            if not isinstance(error, EbmError):
                self.say(traceback.format_exc())
            raise
        self.say(f"trial {trial.number}: {self.sweep.objective.metric} {value:.6g}")
        return value

    def _suggest(self, trial: Trial) -> dict[str, Any]:
        """Ask the sampler for values. Raises NoValueError when a queued trial has others."""
        try:
            return self.sweep.space.suggest(trial)
        except EbmError:
            raise
        except OutsideError as error:
            raise NoValueError(str(error)) from error
        except Exception as error:
            raise _confused("sampler", error) from error

    def _left(self, trial: Trial, key: str) -> Path | None:
        """Return the run of a dead worker, if it belongs to this trial and lies here.

        Where it was is only what the database says.
        """
        said = trial.user_attrs.get(RUN_DIR)
        if not isinstance(said, str) or not said.isprintable() or ".." in Path(said).parts:
            return None
        place = Path(said)
        if place.parent not in self.homes or place.is_symlink():
            return None
        if not (place / "run.json").is_file():
            return None
        told = recorded_parent(read_account(place).facts)
        name = None if self.parent is None else self.parent.run_dir.name
        if told is None or (told.name, told.key) != (name, key):
            self.say(f"trial {trial.number}: {place} is another trial's run; it begins anew")
            return None
        return place

    def _train(self, trial: Trial, values: dict[str, Any], key: str) -> Run | Group:
        """Resume the run of a dead worker, if there is one here, or begin a new one."""
        listening = Listening(trial, self.sweep.objective.metric, self.interrupts)
        seeds = self.sweep.keys.seeds
        before = self._left(trial, key)
        if before is not None:
            try:
                if seeds > 1:
                    return resume_seeds(
                        before, plugins=self.plugins, progress=False, versions="ignore"
                    )
                return resume(
                    before, plugins=self.plugins, progress=False, versions="ignore",
                    listener=listening,
                )  # fmt: skip
            except RunError:
                raise
            except EbmError as error:
                self.say(f"{before} can't be gone on with, so it begins anew: {error}")
        source = overridden(self.sweep, values, f"{self.sweep.name}-{key}")
        if seeds > 1:
            return run_seeds(
                source.tree, seeds, plugins=self.plugins, runs_dir=self.runs_dir, progress=False,
                began=listening.begun,
            )  # fmt: skip
        return run(
            source.tree, plugins=self.plugins, runs_dir=self.runs_dir, progress=False,
            listener=listening,
        )  # fmt: skip

    def _value(self, done: Run | Group) -> float:
        metric = self.sweep.objective.metric
        if metric not in done.metrics:
            there = ", ".join(sorted(done.metrics)) or "none"
            raise NoValueError(f"no metric {metric!r} was recorded; there are: {there}")
        value = done.metrics[metric]
        if not math.isfinite(value):
            raise NoValueError(f"{metric} is {value}, which is no value to compare")
        return value


def _behind(error: BaseException | None) -> StorageError | None:
    """Return the storage's own error behind the one that Optuna raised."""
    while error is not None and not isinstance(error, StorageError):
        error = error.__cause__ or error.__context__
    return error


def _confused(what: str, error: Exception) -> StorageError:
    return StorageError(
        f"Optuna's {what} can't go on from what the storage holds: {type(error).__name__}: "
        f"{' '.join(str(error).split())[:300]}; begin the sweep anew under another `name`"
    )


@contextmanager
def _child(parent: Parent | None, key: str, words: str) -> Iterator[None]:
    """Make the runs of this process children of the sweep's parent run."""
    names = (PARENT_VARIABLE, KEY_VARIABLE, RUN_VARIABLE, LABEL_VARIABLE)
    told: dict[str, str | None] = dict.fromkeys(names)
    if parent is not None:
        told = dict(zip(names, (str(parent.run_dir), key, parent.token, words), strict=True))
    before = {name: os.environ.get(name) for name in told}
    _set(told)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
