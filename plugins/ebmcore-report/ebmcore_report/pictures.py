"""The pictures of a report: as many as fit into its size, as data URIs."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import NamedTuple

from ebmcore import EbmError
from ebmcore_report.record import Picture, Record

BYTES = 10_000_000  # of all pictures on a page, which base64 makes a third larger
FRAMES = 60  # of one animation
_PNG = b"\x89PNG\r\n\x1a\n"


class Series(NamedTuple):
    """Pictures of one monitor of one run through time."""

    run: Record
    name: str  # of the monitor, or monitor/key
    pictures: list[Picture]


class Chosen(NamedTuple):
    """The pictures to show of each series, and how many there are of which none is shown."""

    series: list[Series]  # without those that have no room
    there: int
    shown: int

    @property
    def note(self) -> str:
        """A sentence that says what was left out, empty when nothing was."""
        if self.there == self.shown:
            return ""
        return (
            f"This page shows {self.shown} of {self.there} pictures, evenly through time, so that "
            "it stays small; the run directories have them all."
        )


def choose(series: list[Series], room: int = BYTES) -> Chosen:
    """Choose pictures of at most `room` bytes: first the last one of each series, then frames.

    The room that the last ones leave is shared among the series; one that needs less leaves the
    rest to others. Of a series that doesn't fit it takes frames evenly through time, the first and
    the last among them.
    """
    there = sum(len(one.pictures) for one in series)
    with_room = []
    for one in series:
        if one.pictures[-1].size <= room:
            room -= one.pictures[-1].size
            with_room.append(one)
    chosen: dict[int, Series] = {}
    waiting = sorted(enumerate(with_room), key=lambda item: _size(item[1].pictures[:-1]))
    for i, (place, one) in enumerate(waiting):
        share = room // (len(waiting) - i)
        last, earlier = one.pictures[-1], _spread(one.pictures[:-1], share)
        room -= _size(earlier)
        chosen[place] = one._replace(pictures=[*earlier, last])
    kept = [chosen[place] for place in range(len(with_room))]
    return Chosen(kept, there, sum(len(one.pictures) for one in kept))


def _spread(pictures: list[Picture], room: int) -> list[Picture]:
    """Return as many as fit, evenly spread; the first one stands in a series longest."""
    number = min(len(pictures), FRAMES - 1)
    while number > 0:
        some = [pictures[i * len(pictures) // number] for i in range(number)]
        if _size(some) <= room:
            return some
        number = min(number - 1, int(number * room / _size(some)))
    return []


def _size(pictures: list[Picture]) -> int:
    return sum(picture.size for picture in pictures)


def data_uri(run: Record, picture: Picture) -> str | None:
    """Return a picture as a data URI, None when it isn't a PNG, has grown or is gone."""
    with suppress(OSError, EbmError):
        content = run.files.read(picture.file, picture.size)
        if content.startswith(_PNG):
            return f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return None
