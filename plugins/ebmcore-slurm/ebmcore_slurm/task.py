"""The function of a job on its node: runs one command line, and forwards signals to it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ebmcore import open_log


def write_variables(folder: Path, env: Mapping[str, str]) -> Path:
    """Write a task's variables to a new file of mode 0600, since a password may be among them."""
    file = folder / f"variables-{secrets.token_hex(8)}.json"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(dict(env), opened)
    return file


def run(argv: tuple[str, ...], log: str, variables: str, folder: str, grace: float = 30.0) -> int:
    """Run a command line in a folder until it ends; return its exit code.

    Reads its variables from a file of `write_variables`, and appends its output to the log. A
    signal that ends this process ends the command first: SIGTERM, and SIGKILL after the grace, in
    seconds. Raises OSError when the command can't be started, EbmError when its log is a link.
    """
    env: dict[str, str] = json.loads(Path(variables).read_text())
    process: subprocess.Popen[bytes] | None = None
    signalled = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal signalled
        signalled = True
        if process is not None:  # otherwise it is just being started
            _stop(process, grace)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
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
        if signalled:
            _stop(process, grace)
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(process: subprocess.Popen[bytes], grace: float) -> None:
    _send(process, signal.SIGTERM)
    killer = threading.Timer(grace, _send, (process, signal.SIGKILL))
    killer.daemon = True
    killer.start()


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
