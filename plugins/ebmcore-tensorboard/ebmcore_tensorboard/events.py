"""TensorBoard's event files: written at once, and read back to see what they hold.

A file is a sequence of records: the length and its checksum, an `Event`, and its checksum. A write
that failed may leave half a record, behind which nothing is read; then a new file must be begun.
"""

from __future__ import annotations

import io
import os
import secrets
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NAME = "events.out.tfevents."
_VERSION = "brain.Event:2"


def event(**fields: Any) -> Any:
    """Return an `Event`; its `wall_time` is now unless it is given."""
    from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]

    return Event(**{"wall_time": time.time(), **fields})


class EventFile:
    """A new event file in a folder, without a buffer: an event is written or raises OSError."""

    def __init__(self, folder: Path) -> None:
        host = "".join(c if c.isalnum() or c in "-_" else "-" for c in socket.gethostname())
        # a reader takes the files in the order of their names
        name = f"{_NAME}{time.time_ns() / 1e9:020.9f}.{host}.{os.getpid()}.{secrets.token_hex(4)}"
        self._opened = (folder / name).open("xb", buffering=0)
        self.path = folder / name
        self.write([event(file_version=_VERSION)])

    def write(self, events: list[Any]) -> None:
        """Append events."""
        from tensorboard.summary.writer.record_writer import (  # type: ignore[import-untyped]
            RecordWriter,
        )

        if not self.path.exists():
            raise FileNotFoundError(f"{self.path} was deleted while the run went on")
        records = io.BytesIO()
        for one in events:
            RecordWriter(records).write(one.SerializeToString())
        rest = records.getbuffer()
        while rest:
            rest = rest[self._opened.write(rest) :]

    def close(self) -> None:
        """Close the file."""
        self._opened.close()


def event_files(folder: Path) -> list[Path]:
    """Return the event files in a folder, the oldest first."""
    return sorted(file for file in folder.glob(f"{_NAME}*") if file.is_file())


def read_events(folder: Path) -> Iterator[Any]:
    """Yield the whole events in a folder's files; a torn record ends its file."""
    from tensorboard.compat.proto.event_pb2 import Event

    for file in event_files(folder):
        with file.open("rb") as opened:
            while len(head := opened.read(12)) == 12:
                (length,) = struct.unpack("<Q", head[:8])
                body = opened.read(length + 4)
                if len(body) < length + 4:
                    break
                yield Event.FromString(body[:-4])
