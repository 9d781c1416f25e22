"""What a job does on its node: run one command line, and hand on the signals that end it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ebmcore import open_log


def run(
    argv: tuple[str, ...], log: str, env: Mapping[str, str], folder: str, grace: float = 30.0
) -> int:
    """Run a command line in a folder until it ends; return its exit code.

    Its output is added to the log. A signal that ends this process ends the command first: SIGTERM,
    and SIGKILL after the grace, in seconds. Raises OSError when it can't be started,
    EbmError when its log is a link.
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

    def stop(number: int, frame: FrameType | None) -> None:
        _send(process, signal.SIGTERM)
        killer = threading.Timer(grace, _send, (process, signal.SIGKILL))
        killer.daemon = True
        killer.start()

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
