"""The launcher `slurm`: each task is a job that submitit submits to Slurm."""

from __future__ import annotations

import errno
import os
import signal
import stat
import time
from pathlib import Path
from typing import Any, Literal

import submitit

from ebmcore import EbmError, PositiveFloat, PositiveInt, Task
from ebmcore_slurm.task import run, write_variables

_POLL = 0.5  # seconds between two polls of jobs that are stopping


class SlurmJob:
    """One job."""

    def __init__(self, job: submitit.Job[int], variables: Path, *, waits: bool) -> None:
        self.job = job
        self._variables = variables  # the file, which the job reads when it begins
        self._waits = waits  # whether the job runs only when its result is read
        self._code: int | None = None
        self._stopped = False

    def poll(self) -> int | None:
        """Return the command's exit code, 1 for a job that ended without one; None until its end.

        The code of a stopped job is never 0, even if its command exits with 0 after SIGTERM.
        """
        if self._code is None and self._stopped and self._waits:
            self._code = -signal.SIGTERM
        elif self._code is None and self.job.done():
            try:
                code = int(self.job.results()[0])
            except Exception:  # cancelled, out of time, or its node failed: its log shows which
                code = -signal.SIGTERM if self._stopped else 1
            self._code = -signal.SIGTERM if self._stopped and code == 0 else code
        if self._code is not None:
            self._variables.unlink(missing_ok=True)
        return self._code

    def stop(self) -> None:
        """Cancel a job that has not ended, once."""
        if self._stopped or self._code is not None:
            return
        if not self._waits and self.poll() is not None:
            return
        self._stopped = True
        self.job.cancel()


class Slurm:
    """Submit each task as a job of one process to Slurm.

    A job needs this distribution and the folders of the runs at the same paths on its node.
    `options` takes every further parameter of submitit's executor.

    Args:
        cluster: slurm, or to test without one: local runs jobs as processes of this machine,
            debug runs each task in this process when its result is first read.
        folder: Where submitit keeps its files, on a file system that all nodes share; only you may
            write there.
        partition: The partition; by default Slurm's own.
        minutes: How long a job may take.
        cpus: Processors of a job.
        gpus: GPUs of a job.
        memory: Gigabytes of memory of a job; by default Slurm's own.
        grace: Seconds between SIGTERM and SIGKILL for the command of a job that is cancelled.
        options: Further parameters of submitit, such as slurm_account.
    """

    def __init__(
        self,
        *,
        cluster: Literal["slurm", "local", "debug"] = "slurm",
        folder: str = "slurm",
        partition: str | None = None,
        minutes: PositiveInt = 60,
        cpus: PositiveInt = 1,
        gpus: int = 0,
        memory: PositiveFloat | None = None,
        grace: PositiveFloat = 30.0,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.grace = grace
        self._waits = cluster == "debug"
        self._jobs: list[SlurmJob] = []
        parameters: dict[str, Any] = {
            "name": "ebmcore",
            "timeout_min": minutes,
            "cpus_per_task": cpus,
            "gpus_per_node": gpus,
            "nodes": 1,
            "tasks_per_node": 1,
        }
        if memory is not None:
            parameters["mem_gb"] = memory
        if partition is not None:
            parameters["slurm_partition"] = partition
        try:
            # submitit does not requeue a job that ran out of time: the sweep resumes its trial
            limits = {"slurm_max_num_timeout": 0, "local_max_num_timeout": 0}
            self._folder = _private(Path(folder).absolute())
            self._executor = submitit.AutoExecutor(self._folder, cluster, **limits)
            self._executor.update_parameters(**parameters, **(options or {}))
        except (RuntimeError, NameError, OSError) as error:  # no sbatch here, no such parameter
            raise ValueError(str(error)) from error

    def start(self, task: Task) -> SlurmJob:
        """Submit a task. Raises EbmError when Slurm rejects it."""
        task.log.parent.mkdir(parents=True, exist_ok=True)
        here, grace = str(Path.cwd()), self.grace
        try:
            variables = write_variables(self._folder, task.env)
            job = self._executor.submit(
                run, tuple(task.argv), str(task.log), str(variables), here, grace
            )
        except (submitit.core.utils.FailedJobError, OSError) as error:
            raise EbmError(f"the job can't be submitted: {error}") from error
        self._jobs.append(SlurmJob(job, variables, waits=self._waits))
        return self._jobs[-1]

    def close(self) -> None:
        """Cancel the running jobs, and wait at most the grace and a little more for them."""
        for job in self._jobs:
            job.stop()
        until = time.monotonic() + self.grace + 10
        while any(job.poll() is None for job in self._jobs) and time.monotonic() < until:
            time.sleep(_POLL)
        self._jobs.clear()


def _private(folder: Path) -> Path:
    """Make submitit's folder for this user only, since submitit unpickles the files there.

    Raises OSError when another user owns it or may write to it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.stat()
    if facts.st_uid != os.getuid() or facts.st_mode & stat.S_IWOTH:
        text = "others can write to it, and submitit runs pickles from it; set another `folder`"
        raise OSError(errno.EPERM, text, str(folder))
    return folder
