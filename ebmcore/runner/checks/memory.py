"""The memory of this machine, to refuse a number of samples that can't fit."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ebmcore.errors import EbmError

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory() -> int | None:
    """Return the bytes of memory that this process may use, None where unknown."""
    limits: list[int] = []
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in _LIMITS:
        with suppress(OSError, ValueError):  # no such file, or the word max
            limits.append(int(Path(limit).read_text()))
    return min(limits, default=None)


def refuse_too_many(name: str, count: int, each: int) -> None:
    """Raise EbmError when `count` objects of `each` bytes exceed the memory."""
    there = memory()
    if there is not None and count * each > there:
        raise EbmError(
            f"{name}: {count} of {each} bytes each are more than the {there / 1e9:.3g} GB of "
            "memory that there are; ask for fewer"
        )
