"""Standard streams that never fail, so that a run survives the end of its terminal.

The reader of a pipe may leave, a disk may fill, a terminal may be closed, a descriptor may never
have been open. Python then raises at every print, also in plugins and libraries, and once more when
the process ends, whose exit code becomes 120. These streams drop text that can't be written, and
record that they did.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, TypeGuard


class _Lenient(io.FileIO):
    """A descriptor that accepts all text; `lost` is the reason of the first loss."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write, waiting if the descriptor doesn't block; report failed writes as done."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.lost = self.lost or error
            return len(memoryview(data).cast("B"))
        return written


def protect() -> None:
    """Make this process's standard streams lenient, for good; commands call it first.

    Opens a closed descriptor on the null device, so that no file of a run gets its number, and the
    output meant for that number with it.
    """
    for number, mode in ((0, "r"), (1, "w"), (2, "w")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            if mode == "w":
                stream = _stream(number, encoding="utf-8", errors="replace", at_once=False)
                _raw(stream).lost = OSError(errno.EBADF, os.strerror(errno.EBADF))
                setattr(sys, {1: "stdout", 2: "stderr"}[number], stream)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if _is_plain(stream):
            setattr(sys, name, _lenient(stream, errors="replace"))


@contextmanager
def protected() -> Iterator[None]:
    """Make the standard streams lenient meanwhile, if they are the process's own."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_lenient(s) if _is_plain(s) else s for s in before)
    try:
        yield
    finally:
        for stream in {sys.stdout, sys.stderr} - {None}:
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def lost() -> OSError | None:
    """Return the reason why text on standard output was lost, if it was."""
    stream = sys.stdout
    if stream is None:
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    stream.flush()
    found: OSError | None = getattr(_raw(stream), "lost", None)
    return found


def _is_plain(stream: Any) -> TypeGuard[io.TextIOWrapper]:
    """Tell whether it is Python's own text stream on a descriptor, not a notebook's."""
    return type(stream) is io.TextIOWrapper and type(_raw(stream)) is io.FileIO


def _raw(stream: Any) -> Any:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _lenient(stream: io.TextIOWrapper, errors: str = "") -> TextIO:
    """Return a stream on the same descriptor, after flushing the old one."""
    with suppress(OSError):
        stream.flush()
    return _stream(
        stream.fileno(),
        encoding=stream.encoding,
        errors=errors or stream.errors or "strict",
        at_once=stream.line_buffering or stream.write_through,
    )


def _stream(number: int, *, encoding: str, errors: str, at_once: bool) -> io.TextIOWrapper:
    raw = _Lenient(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=at_once
    )
