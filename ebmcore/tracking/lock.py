"""The lock of a run directory: one process writes it, and the system frees it when that dies."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from ebmcore.errors import EbmError

NAME = ".lock"
_PATIENCE = 0.5  # seconds; another process that only looks holds the lock for less


class RunLock:
    """The right to write a run directory.

    The lock belongs to the open file, so it ends with the process however that ends, `kill -9`
    included; the empty file `.lock` stays and means nothing by itself.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = FileLock(self.path / NAME, thread_local=False)

    def acquire(self) -> None:
        """Take the lock, and keep it until `release` or the end of the process.

        Raises EbmError when another process writes the run, or the folder can't be written.
        """
        try:
            self._lock.acquire(timeout=_PATIENCE, poll_interval=0.02)
        except Timeout as error:
            raise EbmError(
                f"{self.path}: {_writer(self.path)} is writing this run; wait for it to end, or "
                "stop it (SIGTERM writes a checkpoint first)"
            ) from error
        except OSError as error:
            raise EbmError(f"{self.path}: can't be locked: {error.strerror or error}") from error

    def release(self) -> None:
        """Give the lock back; what isn't held is left alone."""
        self._lock.release(force=True)


def is_held(path: str | Path) -> bool:
    """Say whether a process writes the run directory; nothing is written or waited for.

    Where the file system can't tell, the answer is True: nobody's run is called dead on a guess.
    """
    file = Path(path) / NAME
    if not file.is_file() or file.is_symlink():
        return False
    if sys.platform == "win32":
        try:
            FileLock(file).acquire(timeout=0).lock.release()
        except (Timeout, OSError):
            return True
        return False
    import fcntl

    try:
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two who only look don't meet
    except OSError:
        return True
    finally:
        os.close(opened)
    return False


def _writer(path: Path) -> str:
    """Name the process that run.json names, as far as that can be read."""
    try:
        facts = json.loads((path / "run.json").read_text())
        pid, host, status = facts["pid"], facts["host"], facts["status"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
    if status != "RUNNING":  # whose process is gone: it is sent to MLflow, or begins to be resumed
        return "another process"
    if isinstance(pid, bool) or not isinstance(pid, int) or not isinstance(host, str):
        return "another process"
    return f"process {pid} on {host[:80]}"
