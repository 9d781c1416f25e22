"""The launcher `local`: each task is a process of this machine, in a process group of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress

from ebmcore import EbmError, PositiveFloat, Task, open_log

_POLL = 0.02  # seconds between two looks at processes that are to end


class LocalJob:
    """One process, and the processes that it starts in its group."""

    def __init__(self, process: subprocess.Popen[bytes], grace: float) -> None:
        self.process = process
        self._grace = grace
        self._deadline: float | None = None  # of an end that was asked for

    @property
    def pid(self) -> int:
        """The number of the process, which is its group's as well."""
        return self.process.pid

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal's; None while it runs.

        A process that was asked to end and has used up its grace is killed. The code of one that
        was stopped is never 0, whatever it did about SIGTERM.
        """
        code = self.process.poll()
        if self._deadline is None:
            return code
        if code is None and time.monotonic() >= self._deadline:
            self._send(signal.SIGKILL)
        return -signal.SIGTERM if code == 0 else code

    def stop(self) -> None:
        """Send SIGTERM to the group, once; `poll` sends SIGKILL after the grace."""
        if self._deadline is None and self.process.poll() is None:
            self._deadline = time.monotonic() + self._grace
            self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class Local:
    """Start each task as a process of this machine.

    A process has a group of its own, so that a Ctrl-C in the terminal reaches it only through
    whoever started it, and its end takes what it has started itself along.

    Args:
        grace: Seconds between SIGTERM and SIGKILL for a process that is stopped.
    """

    def __init__(self, *, grace: PositiveFloat = 30.0) -> None:
        self.grace = grace
        self._jobs: list[LocalJob] = []

    def start(self, task: Task) -> LocalJob:
        """Start a process. Raises EbmError when there is no such program, or no log can be."""
        try:
            with open_log(task.log) as log:
                process = subprocess.Popen(
                    task.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **task.env},
                    start_new_session=True,
                )
        except OSError as error:
            raise EbmError(f"{task.argv[0]} can't be started: {error}") from error
        job = LocalJob(process, self.grace)
        self._jobs.append(job)
        return job

    def close(self) -> None:
        """Stop what still runs, and wait for it: no longer than the grace."""
        for job in self._jobs:
            job.stop()
        while any(job.poll() is None for job in self._jobs):
            time.sleep(_POLL)
        self._jobs.clear()
