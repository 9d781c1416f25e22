"""A temporary file without a name, which is gone when nothing reads it any more."""

from __future__ import annotations

import os
import sys
import tempfile
import weakref
from typing import Any

POSSIBLE = sys.platform == "linux"  # another process can open it, too


class NamelessFile:
    """Bytes in the folder that TMPDIR names; forks and pickled copies read the same ones.

    Raises OSError as files do.
    """

    def __init__(self) -> None:
        with tempfile.TemporaryFile(prefix="ebmcore-", buffering=0) as file:
            self._own(os.dup(file.fileno()))

    def _own(self, number: int) -> None:
        self.number = number
        weakref.finalize(self, os.close, number)

    def append(self, data: memoryview) -> None:
        """Write bytes at the end."""
        while data:
            data = data[os.write(self.number, data) :]

    def fill(self, data: memoryview, offset: int) -> None:
        """Read bytes from an offset on. Raises EOFError when they end before."""
        while data:
            count = os.preadv(self.number, [data], offset)  # forks share no position so
            if not count:
                raise EOFError("the temporary file with the table's numbers was cut")
            data, offset = data[count:], offset + count

    def __getstate__(self) -> dict[str, Any]:
        """Return where another process finds the file while this one lives."""
        return {"path": f"/proc/{os.getpid()}/fd/{self.number}"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open it."""
        self._own(os.open(state["path"], os.O_RDONLY))
