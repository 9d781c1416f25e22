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
from ebmcore.runs.layout import LARGEST_RUN_JSON, RESERVE, RUN_JSON
from ebmcore.runs.safe_files import SafeFiles, write_all

RESERVED = 64 * 1024  # bytes: more than run.json and a few lines of log need
_START = b"{\n"  # of run.json, and of a second one behind it; no other line is a brace alone


def read_run_json(files: SafeFiles) -> dict[str, Any]:
    """Return the fields of run.json, whose values may be any JSON.

    Raises DirectoryError when it is no plain file, OSError when it is missing, ValueError when it
    is no JSON object.
    """
    text = files.read(RUN_JSON, LARGEST_RUN_JSON)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        found = _mended(text)
        if found is None:
            raise ValueError("run.json isn't JSON") from error
    if not isinstance(found, dict):
        raise ValueError("run.json should hold an object")
    return found


def write_run_json(files: SafeFiles, facts: Mapping[str, Any]) -> None:
    """Replace run.json."""
    text = (json.dumps(mask_all(facts), indent=2, default=_masked) + "\n").encode()
    try:
        files.replace(RUN_JSON, text, sync=True)
        return
    except OSError:
        pass  # no room for one more file, or for its bytes
    try:
        _take_the_reserve(files, text)
        return
    except (OSError, DirectoryError):
        give_back(files)
    try:
        files.replace(RUN_JSON, text, sync=True)
    except OSError:
        with files.open_to_change(RUN_JSON) as file:
            _write_in_place(file.fileno(), text)


def reserve(files: SafeFiles) -> None:
    """Reserve a file and a little room, so that a run records its end even on a full disk."""
    give_back(files)
    files.replace(RESERVE, bytes(RESERVED))


def give_back(files: SafeFiles) -> None:
    """Release the reserve."""
    with files.folder() as opened:
        opened.unlink(RESERVE)


def _masked(value: object) -> str:
    return mask(str(value))


def _take_the_reserve(files: SafeFiles, text: bytes) -> None:
    """Write to the reserved file, and rename it to run.json."""
    with files.open_to_change(RESERVE) as file:
        file.write(text)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    with files.folder() as opened:
        opened.rename(RESERVE, RUN_JSON)
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
