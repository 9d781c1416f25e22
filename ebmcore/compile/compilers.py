"""The compilers that a run waits for; they end with it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")
_NAME = 15  # letters of a process's name that Linux keeps


def end_compilers() -> None:
    """Kill the C++ compilers that this process has started, with the programs that they started.

    A signal to this process alone would end the first of them, whose own children then go on. Does
    nothing where there is no /proc.
    """
    children: dict[int, list[int]] = {}
    names = {}
    for pid, name, parent in _processes():
        children.setdefault(parent, []).append(pid)
        names[pid] = name
    ours = [pid for pid in children.get(os.getpid(), []) if names[pid] in _compilers()]
    while ours:
        pid = ours.pop()
        ours += children.get(pid, [])
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _compilers() -> set[str]:
    """Return the names of the compilers that torch may call, as the system lists them."""
    settings = sys.modules.get("torch._inductor.config")
    found = getattr(settings, "cpp", None) and settings.cpp.cxx  # type: ignore[union-attr] # a module
    listed = found if isinstance(found, list | tuple) else (found,)
    paths = [path for name in (*listed, "g++", "clang++") if name and (path := shutil.which(name))]
    return {Path(path).name[:_NAME] for path in paths}


def _processes() -> Iterator[tuple[int, str, int]]:
    """Yield the number, the name and the parent of each process."""
    for folder in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            begin, _, rest = (folder / "stat").read_text(errors="replace").rpartition(")")
            yield int(folder.name), begin.partition("(")[2], int(rest.split()[1])
