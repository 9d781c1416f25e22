"""Files of the format .ts: a header of lines that begin with @, then one series a line.

    @classLabel true walking running
    @data
    0.1,0.2,0.3:1.0,?,1.2:walking

Channels and the label are apart by colons, the steps of a channel by commas, and ? is a missing
number. Series may have different lengths. Source: the aeon and sktime projects' description of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ebmcore import DataError


class Series(NamedTuple):
    """The series of a file."""

    events: list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]  # (T, C) each
    labels: list[str] | None  # as they are written
    classes: list[str]  # in the header's order; none of a file without classes


def read_ts(path: Path) -> Series:
    """Read a file. Raises DataError, with the line, when it is missing, empty or of other form."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            return _read(path, enumerate(lines, start=1))
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no .ts file: its bytes are not text") from error


def _read(path: Path, lines: Iterator[tuple[int, str]]) -> Series:
    header = _header(path, lines)
    if header.get("timestamps", ["false"])[0].lower() == "true":
        raise DataError(f"{path} has timestamps; save it with equal steps and without them")
    told, *classes = header.get("classlabel", ["false"])
    target = header.get("targetlabel", ["false"])[0]
    labelled = "true" in (told.lower(), target.lower())
    events, labels = [], []
    for number, line in lines:
        if not line.strip() or line[0] in "#%":
            continue
        channels = line.strip().split(":")
        if labelled:
            labels.append(channels.pop().strip())
            if classes and labels[-1] not in classes:
                raise DataError(
                    f"{path}:{number}: label {labels[-1]!r} is none of the header's classes, "
                    f"{', '.join(classes)}"
                )
        events.append(_event(f"{path}:{number}", channels))
    if not events:
        raise DataError(f"{path} has no series after @data")
    return Series(events, labels if labelled else None, classes if labelled else [])


def _header(path: Path, lines: Iterator[tuple[int, str]]) -> dict[str, list[str]]:
    """Read up to @data; return the words after each key, in small letters."""
    header: dict[str, list[str]] = {}
    for number, line in lines:
        words = line.split()
        if not words or line[0] in "#%":
            continue
        if words[0][0] != "@":
            raise DataError(f"{path}:{number}: a header's lines begin with @; is it a .ts file?")
        if words[0].lower() == "@data":
            return header
        header[words[0][1:].lower()] = words[1:] or [""]
    raise DataError(f"{path} has no line @data, so it is no .ts file")


def _event(place: str, channels: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    try:
        rows = [
            np.array(channel.replace("?", "nan").split(","), dtype=np.float64)
            for channel in channels
        ]
    except ValueError as error:
        raise DataError(f"{place}: a series should hold numbers and commas: {error}") from error
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise DataError(
            f"{place}: the channels of a series should have one length; they have "
            f"{', '.join(str(len(row)) for row in rows)} steps"
        )
    return np.stack(rows, axis=1)
