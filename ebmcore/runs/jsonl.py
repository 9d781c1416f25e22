"""Read files with one JSON object a line, in bounded pieces, without trusting them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ebmcore.errors import DirectoryError
from ebmcore.runs.layout import LARGEST_LINE
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.service_contracts import Point

PIECE = 256 * 1024  # bytes
_LOG = 64 * 1024  # bytes at the end of a log
_STEPS = 2**63  # a step must be below this
_SECONDS = 1e12  # a time must be below this


def read_piece(file: Path, start: int, size: int = PIECE) -> tuple[list[bytes], int]:
    """Return whole lines from byte `start` on, about `size` bytes of them, and their end.

    Leaves out a last line without an end, which is unfinished or torn. Returns nothing for anything
    but a plain file.
    """
    lines: list[bytes] = []
    end = start
    with (
        suppress(FileNotFoundError, DirectoryError),
        SafeFiles(file.parent).open(file.name) as opened,
    ):
        opened.seek(start)
        while line := opened.readline(LARGEST_LINE):
            if not line.endswith(b"\n"):
                break
            lines.append(line)
            end += len(line)
            if end - start >= size:
                break
    return lines, end


def read_object(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a line, None when there is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_points(line: bytes) -> list[Point]:
    """Return the values in one line of metrics.jsonl that are numbers."""
    fields = read_object(line) or {}
    step, stamp = fields.pop("step", None), fields.pop("time", None)
    fields.pop("epoch", None)
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < _STEPS:
        return []
    if not isinstance(stamp, (int, float)) or not 0 <= stamp < _SECONDS:
        return []
    values = ((name, as_number(value)) for name, value in fields.items())
    return [Point(name, step, stamp, value) for name, value in values if value is not None]


def last_points(file: Path, step: int) -> list[Point]:
    """Return the last value of each metric of a file of values at a step or before it."""
    found: dict[str, Point] = {}
    start, more = 0, True
    while more:
        lines, end = read_piece(file, start)
        points = (point for line in lines for point in read_points(line))
        found |= {point.name: point for point in points if point.step <= step}
        more, start = end - start >= PIECE, end
    return list(found.values())


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log in its folder; raises OSError and DirectoryError."""
    folder = log.absolute().parent
    with SafeFiles(folder.parent).open(f"{folder.name}/{log.name}") as opened:
        opened.seek(max(0, opened.seek(0, os.SEEK_END) - _LOG))
        return opened.read(_LOG).decode(errors="replace").splitlines()


def as_number(value: Any) -> float | None:
    """Return a number as run directories write numbers, None for anything else."""
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer beyond any float
        return None


def count_points(file: Path, start: int) -> int:
    """Count the values from byte `start` on that MLflow can hold."""
    return sum(1 for point in all_points(file, start) if not math.isinf(point.value))


def all_points(file: Path, start: int = 0) -> Iterator[Point]:
    """Yield the values from byte `start` to the file's present end, a piece at a time."""
    whole = file.lstat().st_size if is_plain(file) else 0
    while start < whole:
        lines, end = read_piece(file, start)
        if not lines:
            return
        for line in lines:
            yield from read_points(line)
        start = end


def is_plain(file: Path) -> bool:
    """Tell whether this is a regular file and no link."""
    return file.is_file() and not file.is_symlink()
