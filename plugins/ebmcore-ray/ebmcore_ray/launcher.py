"""The launcher `ray`: each task is a Ray task that runs a command line on the cluster."""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from ebmcore import EbmError, NonNegativeFloat, PositiveFloat, Task
from ebmcore_ray.task import run

_POLL = 0.1  # seconds between two polls of tasks that are stopping
_MORE = 10.0  # seconds that Ray gets to cancel a task, in addition to its command's grace
_AGAIN = 5.0  # seconds; Ray drops a request to cancel a task that is still being prepared


class RayJob:
    """One Ray task."""

    def __init__(self, reference: Any) -> None:
        self.reference = reference
        self._code: int | None = None
        self._cancelled: float | None = None  # time of the last request to cancel it

    def poll(self) -> int | None:
        """Return the command's exit code, 1 when Ray lost it; None while it waits or runs.

        The code of a stopped task is never 0, even if its command exits with 0 after SIGTERM.
        """
        if self._code is not None:
            return self._code
        if ray.wait([self.reference], timeout=0)[0]:
            stopped = self._cancelled is not None
            try:
                code = int(ray.get(self.reference))
            except (RayError, OSError):
                code = -signal.SIGTERM if stopped else 1
            self._code = -signal.SIGTERM if stopped and code == 0 else code
        elif self._cancelled is not None and time.monotonic() - self._cancelled >= _AGAIN:
            self._cancel()
        return self._code

    def stop(self) -> None:
        """Cancel a task that has not ended; its command gets SIGTERM, SIGKILL after the grace."""
        if self._cancelled is None and self.poll() is None:
            self._cancel()

    def give_up(self) -> None:
        """Have Ray kill the process that runs the task, if it has not ended."""
        if self.poll() is None:
            self._code = -signal.SIGKILL
            ray.cancel(self.reference, force=True)

    def _cancel(self) -> None:
        self._cancelled = time.monotonic()
        ray.cancel(self.reference)


class Ray:
    """Run each task as a Ray task, on any machine of the cluster with the resources for it.

    A task needs this distribution and the folders of the runs at the same paths on its machine. It
    waits until the cluster has the resources that it requests.

    Args:
        address: The cluster, such as auto or ray://host:10001; null starts one on this machine,
            for as long as the launcher is open, unless RAY_ADDRESS names one.
        cpus: Processors that a task takes.
        gpus: GPUs that a task takes, or a share of one.
        resources: Further resources that a task takes, by name.
        grace: Seconds between SIGTERM and SIGKILL for a command that is stopped.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        cpus: NonNegativeFloat = 1.0,
        gpus: NonNegativeFloat = 0.0,
        resources: dict[str, float] | None = None,
        grace: PositiveFloat = 30.0,
    ) -> None:
        self.grace = grace
        self._jobs: list[RayJob] = []
        self._own = not ray.is_initialized()  # otherwise its owner shuts it down
        if self._own:
            try:
                ray.init(
                    address,
                    include_dashboard=None if address else False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, RuntimeError) as error:
                raise ValueError(f"Ray can't be reached: {error}") from error
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._remote = ray.remote(**options, resources=resources or {})(run)

    def start(self, task: Task) -> RayJob:
        """Submit a task to Ray. Raises EbmError when Ray rejects it."""
        task.log.parent.mkdir(parents=True, exist_ok=True)
        here, grace = str(Path.cwd()), self.grace
        try:
            reference = self._remote.remote(
                tuple(task.argv), str(task.log), dict(task.env), here, grace
            )
        except RayError as error:
            raise EbmError(f"Ray rejected the task: {error}") from error
        self._jobs.append(RayJob(reference))
        return self._jobs[-1]

    def close(self) -> None:
        """Cancel the running tasks, wait the grace and a little more, and leave the cluster."""
        for job in self._jobs:
            job.stop()
        until = time.monotonic() + self.grace + _MORE
        while any(job.poll() is None for job in self._jobs) and time.monotonic() < until:
            time.sleep(_POLL)
        for job in self._jobs:
            job.give_up()
        self._jobs.clear()
        if self._own and ray.is_initialized():
            ray.shutdown()
