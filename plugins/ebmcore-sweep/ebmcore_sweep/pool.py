"""A pool of tasks: a launcher runs so many at once until all have ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from ebmcore import EbmError, Job, Launcher, Task, open_log
from ebmcore.train import Interrupts

_LOOK = 0.1  # seconds between two polls of the jobs


def run_tasks(
    tasks: Mapping[str, Task],
    launcher: Launcher,
    workers: int,
    interrupts: Interrupts,
    *,
    started: Callable[[str], None],
    ended: Callable[[str, int | None], None],
    looked: Callable[[], None] = lambda: None,
) -> None:
    """Run the tasks in order, `workers` at once; after a signal stop them and wait for their end.

    It calls `started` with a task's key, `ended` with the key and the exit code (None when the task
    couldn't start), and `looked` after each poll of the jobs. Raises KeyboardInterrupt at a second
    Ctrl-C.
    """
    waiting = deque(tasks.items())
    jobs: dict[str, Job] = {}
    try:
        while jobs or (waiting and interrupts.number is None):
            while waiting and len(jobs) < workers and interrupts.number is None:
                key, task = waiting.popleft()
                started(key)
                try:
                    jobs[key] = launcher.start(task)
                except EbmError as error:
                    with suppress(OSError, EbmError), open_log(task.log) as log:
                        log.write(f"{error}\n".encode())
                    ended(key, None)
            for key, job in list(jobs.items()):
                if interrupts.number is not None:
                    job.stop()
                code = job.poll()
                if code is not None:
                    del jobs[key]
                    ended(key, code)
            looked()
            if jobs:
                time.sleep(_LOOK)
    finally:
        launcher.close()
