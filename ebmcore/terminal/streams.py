"""Standard streams that never fail: a terminal that is gone is no reason for a run to end.

The reader of a pipe may leave, a disk may fill, a terminal may be closed, a descriptor may never
have been open. Python raises then wherever something is printed, by a plugin or a library too, and
once more when the process ends, whose exit code becomes 120. Written through these streams, what
can't be written is dropped and remembered.
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
    """A descriptor that takes whatever is written; `lost` is why the first of it went nowhere."""

    lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write, waiting where the descriptor doesn't; say that all is written when it can't be."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self.lost = self.lost or error
            return len(memoryview(data).cast("B"))
        return written


def protect() -> None:
    """Make this process's standard streams lenient, for good; a command line begins with it.

    A closed descriptor is opened on the null device, so that no file of a run's takes its number
    and is written to by what writes to that number.
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
    """Make the standard streams lenient meanwhile, where they are a process's own."""
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
    """Return why some of what was written to standard output went nowhere, if it did."""
    stream = sys.stdout
    if stream is None:
        return OSError(errno.EBADF, os.strerror(errno.EBADF))
    stream.flush()
    found: OSError | None = getattr(_raw(stream), "lost", None)
    return found


def _is_plain(stream: Any) -> TypeGuard[io.TextIOWrapper]:
    """Whether it is a text stream on a descriptor as Python made it, none of a notebook."""
    return type(stream) is io.TextIOWrapper and type(_raw(stream)) is io.FileIO


def _raw(stream: Any) -> Any:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _lenient(stream: io.TextIOWrapper, errors: str = "") -> TextIO:
    """Return a stream on the same descriptor, after what the old one held was written."""
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
