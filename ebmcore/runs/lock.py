"""The lock of a run directory: one process holds it, and the system frees it when that dies."""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ebmcore.errors import DirectoryError, EbmError
from ebmcore.runs.layout import LOCK as NAME
from ebmcore.runs.run_json import read_run_json
from ebmcore.runs.safe_files import SafeFiles

_PATIENCE = 0.5  # seconds; a process that only checks holds the lock for less
_PAUSE = 0.02  # seconds between two attempts
_HELD = (errno.EAGAIN, errno.EACCES)  # by another process


class RunLock:
    """The right to write a run directory.

    The lock belongs to the open file, so it ends with the process however that ends, `kill -9`
    included; the empty file `.lock` stays and means nothing by itself. While the lock is held, the
    folder is open as well. On a file system without locks the run writes without one.
    """

    def __init__(self, path: str | Path, files: SafeFiles | None = None) -> None:
        self.path = Path(path)
        self._files = files or SafeFiles(path)
        self._file: int | None = None  # open and locked
        self._windows = FileLock(self.path / NAME, thread_local=False)

    def acquire(self) -> None:
        """Take the lock, and keep it until `release` or the end of the process.

        Raises EbmError when another process writes the run, or the folder can't be written.
        """
        if self._file is not None:
            return
        try:
            self._files.hold()
            self._lock()
        except BaseException as error:
            self._files.let_go()
            if isinstance(error, Timeout):
                raise EbmError(
                    f"{self.path}: {_writer(self._files)} is writing this run; wait for it to "
                    "end, or stop it (SIGTERM writes a checkpoint first)"
                ) from error
            if isinstance(error, OSError):
                reason = error.strerror or error
                raise EbmError(f"{self.path}: can't be locked: {reason}") from error
            raise

    def _lock(self) -> None:
        """Open the file and lock it. Raises Timeout when another process has it."""
        if sys.platform == "win32":
            self._windows.acquire(timeout=_PATIENCE, poll_interval=_PAUSE)
            return
        with self._files.folder() as opened:
            file = opened.file(NAME, os.O_RDWR | os.O_CREAT)
        until = time.monotonic() + _PATIENCE
        try:
            while not _try_lock(file):
                if time.monotonic() >= until:
                    raise Timeout(str(self.path / NAME))
                time.sleep(_PAUSE)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._file is not None:
            _unlock(self._file)
            self._file = None
        if sys.platform == "win32":
            self._windows.release(force=True)
        self._files.let_go()


def is_held(path: str | Path) -> bool:
    """Tell whether a process writes the run directory, without writing or waiting.

    True if the file system can't tell: no run counts as dead on a guess.
    """
    try:
        with SafeFiles(path).folder() as opened:
            file = opened.file(NAME, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError, DirectoryError):
        return False
    except OSError:
        return True
    try:
        if sys.platform == "win32":
            FileLock(Path(path) / NAME).acquire(timeout=0).lock.release()
            return False
        return not _try_lock(file, share=True)  # shared, so two checks don't block each other
    except (Timeout, OSError):
        return True
    finally:
        os.close(file)


def _try_lock(file: int, *, share: bool = False) -> bool:
    """Lock an open file, if no other process has; raises OSError if the system can't tell."""
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if share else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if share or error.errno != errno.ENOSYS:
            raise
    return True


def _unlock(file: int) -> None:
    """Free the lock, even if a forked process has the file open, too."""
    import fcntl

    with suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


def _writer(files: SafeFiles) -> str:
    """Return the process that run.json names, for a message, as far as it is readable."""
    try:
        facts = read_run_json(files)
        pid, host, status = facts["pid"], facts["host"], facts["status"]
    except (OSError, ValueError, EbmError, KeyError):
        return "another process"
    if status != "RUNNING":  # its process ended; another sends or resumes it
        return "another process"
    if isinstance(pid, bool) or not isinstance(pid, int) or not isinstance(host, str):
        return "another process"
    return f"process {pid} on {host[:80]}"
