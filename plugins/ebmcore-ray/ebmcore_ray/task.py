"""What a Ray task does: run one command line, and end it when the task is cancelled."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ebmcore import open_log

_POLL = 0.1  # seconds; in between, Ray can interrupt


def run(argv: tuple[str, ...], log: str, env: Mapping[str, str], folder: str, grace: float) -> int:
    """Run a command line in a folder until it ends; return its exit code, or minus a signal's.

    Its output is added to the log. Cancelling the task, which raises KeyboardInterrupt here, ends
    the command first: SIGTERM, and SIGKILL after the grace, in seconds. Raises OSError when it
    can't be started, EbmError when its log is a link.
    """
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
    try:
        while process.poll() is None:
            time.sleep(_POLL)
    except BaseException:
        _end(process, grace)
        raise
    return process.returncode


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    until = time.monotonic() + grace
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(_POLL)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
