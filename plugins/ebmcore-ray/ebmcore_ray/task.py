"""The function of a Ray task: runs one command line, and ends it when the task is cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ebmcore import open_log

_POLL = 0.1  # seconds between two polls of the command


def run(argv: tuple[str, ...], log: str, env: Mapping[str, str], folder: str, grace: float) -> int:
    """Run a command line in a folder until it ends; return its exit code, or minus a signal's.

    Appends its output to the log. Cancelling the task ends the command first: SIGTERM, and SIGKILL
    after the grace, in seconds; then KeyboardInterrupt is raised, as Ray expects of a cancelled
    task. Raises OSError when the command can't be started, EbmError when its log is a link.
    """
    with _cancelling() as cancelled:
        with open_log(Path(log)) as output:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                start_new_session=True,
            )
        kill_at: float | None = None
        while process.poll() is None:
            if cancelled() and kill_at is None:
                kill_at = time.monotonic() + grace
                _send(process, signal.SIGTERM)
            elif kill_at is not None and time.monotonic() >= kill_at:
                _send(process, signal.SIGKILL)
            time.sleep(_POLL)
        if kill_at is not None:  # the command's own child processes may outlive it
            _send(process, signal.SIGKILL)
        if cancelled():
            raise KeyboardInterrupt
    return process.returncode


@contextmanager
def _cancelling() -> Iterator[Callable[[], bool]]:
    """Record Ray's interrupts instead of raising them; yield a check whether one came.

    Ray interrupts the main thread as SIGINT does. That is lost where SIGINT is ignored, as in
    processes that a shell started with `&`, and may be swallowed where Python ignores exceptions.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted.is_set
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupted.set())
    try:
        yield interrupted.is_set
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
