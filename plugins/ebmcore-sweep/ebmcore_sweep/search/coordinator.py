"""The coordinator of a sweep: it starts workers, replaces dead ones, waits for the last trial."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ebmcore import EbmError, Job, Launcher, Task
from ebmcore.masking import mask
from ebmcore.runs import last_lines
from ebmcore.train import Interrupts
from ebmcore_sweep.search.definition import Sweep
from ebmcore_sweep.search.samplers import quiet
from ebmcore_sweep.search.tally import WORKER, Tally, give_back, tally
from ebmcore_sweep.storage.guarded import StorageError

if TYPE_CHECKING:
    from optuna import Study

# of the environment, which a launcher may not hand on by itself
_PASSED_ON = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "OMP_NUM_THREADS",
    "EBMCORE_CONFIG_DIR",
)
_LOOK = 0.25  # seconds between two looks at the workers
_COUNT = 1.0  # seconds between two looks at the trials
_IN_VAIN = 3  # workers that die in a row while no trial ends, after which there is no use
_TAIL = 12  # lines of a dead worker's log that are shown


class Started(NamedTuple):
    """A worker."""

    name: str
    job: Job
    log: Path


class Coordinator:
    """Keeps so many workers running until the budget is used up and no trial runs."""

    def __init__(
        self,
        study: Study,
        sweep: Sweep,
        launcher: Launcher,
        *,
        url: str,
        workers: int,
        options: Sequence[str],
        variables: Mapping[str, str],
        logs: Path,
        say: Callable[[str], None],
    ) -> None:
        self.study = study
        self.sweep = sweep
        self.launcher = launcher
        self.url = url
        self.workers = workers
        self.options = options  # of each worker's command line
        self.variables = variables  # of each worker's environment, which may be secret
        self.logs = logs
        self.say = say
        self.interrupts = Interrupts()
        self.live: list[Started] = []
        self.begun = 0  # workers so far
        self.in_vain = 0  # of those that died since a trial ended
        self.ended: set[int] = set()  # trials that were told of

    def run(self) -> Tally:
        """Wait until the sweep is done, or a signal comes; return the tally of its trials.

        Raises EbmError when one worker after the other dies before it has ended a trial.
        """
        counted = 0.0
        with self.interrupts:
            found = tally(self.study)
            self.ended = {t.number for t in found.ended}
            self._give_back_lost(found)
            try:
                while self.interrupts.number is None:
                    self._reap()
                    if time.monotonic() - counted >= _COUNT or not self.live:
                        self._fail_stale()
                        found = tally(self.study)
                        self._tell(found)
                        counted = time.monotonic()
                        if not self._keep_going(found):
                            break
                    time.sleep(_LOOK)
            finally:
                self._stop()
        return tally(self.study)

    def _keep_going(self, found: Tally) -> bool:
        """Start workers as far as there is work for them; return whether any is left."""
        begins = found.to_begin(self.sweep.budget)
        # a worker that lives may be about to take the next trial, so it is counted against those
        idle = max(0, len(self.live) - len(found.running))
        for _ in range(min(self.workers - len(self.live), begins - idle)):
            self._start()
        return bool(self.live) or begins > 0 or bool(found.running)

    def _start(self) -> None:
        # its sampler's seed comes of it: another one when a sweep goes on, and never of chance
        name = f"worker-{self.begun}-{len(self.study.get_trials(deepcopy=False))}"
        self.begun += 1
        command = [sys.executable, "-m", "ebmcore", "sweep", "--join", mask(self.url)]
        own = ["--study", self.sweep.name, "--worker", name]
        log = self.logs / f"{name}.txt"
        env = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        env |= self.variables
        job = self.launcher.start(Task((*command, *own, *self.options), log.absolute(), env))
        self.live.append(Started(name, job, log))

    def _reap(self) -> None:
        """Poll the workers; queue the trials of those that died."""
        for worker in list(self.live):
            code = worker.job.poll()
            if code is None:
                continue
            self.live.remove(worker)
            left = self._give_back(worker)
            if code == 0:
                continue
            self.in_vain += 1
            self.say(f"{worker.name} died with exit code {code}{left}; its log: {worker.log}")
            if self.in_vain >= max(_IN_VAIN, self.workers):
                raise EbmError(
                    f"{self.in_vain} workers died and no trial ended; the last one said:\n"
                    f"{_tail(worker.log)}"
                )

    def _give_back(self, worker: Started) -> str:
        """Queue the trial of a dead worker again; return its number."""
        text = ""
        for trial in tally(self.study).running:
            if str(trial.user_attrs.get(WORKER, "")).startswith(f"{worker.name}@"):
                give_back(self.study, trial.number, retries=self.sweep.keys.retries)
                text = f" at trial {trial.number}"
        return text

    def _give_back_lost(self, found: Tally) -> None:
        """Queue the trials of this machine's workers that died with their coordinator."""
        for trial in found.running:
            host, _, pid = str(trial.user_attrs.get(WORKER, "")).rpartition("@")[2].rpartition(":")
            if host == socket.gethostname() and _is_pid(pid) and not _lives(int(pid)):
                give_back(self.study, trial.number, retries=self.sweep.keys.retries)

    def _fail_stale(self) -> None:
        """Fail the trials whose workers stopped their heartbeat, as each worker does, too."""
        import optuna

        with quiet():
            optuna.storages.fail_stale_trials(self.study)
        longest = timedelta(seconds=self.sweep.keys.patience)
        for trial in tally(self.study).running:  # whose worker died before it took its name
            began = trial.datetime_start
            if WORKER in trial.user_attrs or began is None or datetime.now() - began < longest:
                continue
            give_back(self.study, trial.number, retries=self.sweep.keys.retries)

    def _tell(self, found: Tally) -> None:
        """Print the trials that ended since the last call."""
        for trial in found.ended:
            if trial.number in self.ended:
                continue
            self.ended.add(trial.number)
            self.in_vain = 0
            whole = self.sweep.budget.trials
            count = f"{len(found.ended)} of {whole}" if whole else f"{len(found.ended)}"
            value = (
                "" if trial.value is None else f" {self.sweep.objective.metric} {trial.value:.6g}"
            )
            self.say(f"trial {trial.number} {trial.state.name}{value} ({count})")

    def _stop(self) -> None:
        """Stop the workers, and queue the trials that they could not queue themselves."""
        for worker in self.live:
            worker.job.stop()
        self.launcher.close()
        try:
            for worker in self.live:
                worker.job.poll()
                self._give_back(worker)
        except StorageError as error:  # which ended the sweep
            self.say(str(error))
        finally:
            self.live.clear()


def _is_pid(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _tail(log: Path) -> str:
    try:
        lines = last_lines(log)
    except (OSError, EbmError) as error:
        return f"(no log: {error})"
    return "\n".join(lines[-_TAIL:])
