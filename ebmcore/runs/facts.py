"""run.json: replaced whole, even if no new file can be made, and read without trusting it.

The run writes a new run.json beside the old one and renames it. On a disk without room for one more
file, or for its bytes, it overwrites the file `.reserve`, made at its start, and renames that. If
that is gone, too, it writes run.json in place: first behind the old text, then over it, so that
one of the two is whole even if the machine dies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ebmcore.errors import DirectoryError
from ebmcore.masking import mask, mask_all
from ebmcore.runs.inside import Inside, write_all
from ebmcore.runs.layout import FACTS, LARGEST_FACTS, RESERVE

RESERVED = 64 * 1024  # bytes: more than run.json and a few lines of log need
_START = b"{\n"  # of run.json, and of a second one behind it; no other line is a brace alone


def read_facts(inside: Inside) -> dict[str, Any]:
    """Return the fields of run.json, whose values may be any JSON.

    Raises DirectoryError when it is no plain file, OSError when it is missing, ValueError when it
    is no JSON object.
    """
    text = inside.read(FACTS, LARGEST_FACTS)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        found = _mended(text)
        if found is None:
            raise ValueError("run.json isn't JSON") from error
    if not isinstance(found, dict):
        raise ValueError("run.json should hold an object")
    return found


def write_facts(inside: Inside, facts: Mapping[str, Any]) -> None:
    """Replace run.json."""
    text = (json.dumps(mask_all(facts), indent=2, default=_masked) + "\n").encode()
    try:
        inside.replace(FACTS, text, sync=True)
        return
    except OSError:
        pass  # no room for one more file, or for its bytes
    try:
        _take_the_reserve(inside, text)
        return
    except (OSError, DirectoryError):
        give_back(inside)
    try:
        inside.replace(FACTS, text, sync=True)
    except OSError:
        with inside.open_to_change(FACTS) as file:
            _write_in_place(file.fileno(), text)


def reserve(inside: Inside) -> None:
    """Reserve a file and a little room, so that a run records its end even on a full disk."""
    give_back(inside)
    inside.replace(RESERVE, bytes(RESERVED))


def give_back(inside: Inside) -> None:
    """Release the reserve."""
    with inside.folder() as opened:
        opened.unlink(RESERVE)


def _masked(value: object) -> str:
    return mask(str(value))


def _take_the_reserve(inside: Inside, text: bytes) -> None:
    """Write to the reserved file, and rename it to run.json."""
    with inside.open_to_change(RESERVE) as file:
        file.write(text)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    with inside.folder() as opened:
        opened.rename(RESERVE, FACTS)
        opened.sync()


def _write_in_place(handle: int, text: bytes) -> None:
    """Write a text over the present one; a reader finds one of them if a write is torn."""
    end = os.lseek(handle, 0, os.SEEK_END)
    gap = max(0, len(text) - end) + 1  # so that the second write doesn't touch the first
    try:
        write_all(handle, b"\n" * gap + text)
        os.fsync(handle)
    except OSError:  # no room behind the old text, but perhaps over it
        os.ftruncate(handle, end)
    os.lseek(handle, 0, os.SEEK_SET)
    write_all(handle, text)
    os.fsync(handle)
    os.ftruncate(handle, len(text))
    os.fsync(handle)


def _mended(text: bytes) -> Any:
    """Return the last whole text in a run.json after a torn write in place, else None."""
    starts = [0] if text.startswith(_START) else []
    at = text.find(b"\n" + _START)
    while at >= 0 and len(starts) < 3:
        starts.append(at + 1)
        at = text.find(b"\n" + _START, at + 1)
    for start in reversed(starts):
        try:
            found, _ = json.JSONDecoder().raw_decode(text[start:].decode(errors="replace"))
        except (ValueError, RecursionError):
            continue
        return found
    return None
