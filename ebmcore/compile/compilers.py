"""The compilers that a run waits for: they end with it, or when their time is up."""

from __future__ import annotations

import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PROCESSES = Path("/proc")
_NAME = 15  # letters of a process's name that Linux keeps
_AGAIN = 10.0  # seconds until it raises again, if something swallowed the exception


class OutOfTime(BaseException):
    """Compiling took too long; no `except Exception` of the compiler's stops it."""


@contextmanager
def time_limit(until: float) -> Iterator[None]:
    """Raise OutOfTime when `time.monotonic()` passes `until`, and kill the compilers.

    Only the main thread can be interrupted, where there are timers; elsewhere it does nothing.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer") or until == math.inf:
        yield
        return

    def expire(*_: object) -> None:
        end_compilers()
        raise OutOfTime

    began = time.monotonic()
    if until <= began:
        raise OutOfTime
    handler = signal.signal(signal.SIGALRM, expire)
    left, interval = signal.setitimer(signal.ITIMER_REAL, until - began, _AGAIN)
    try:
        yield
    finally:
        left = left and max(left - (time.monotonic() - began), 1e-3)  # another's timer goes on
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left, interval)


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
    compilers = compiler_names()
    ours = [pid for pid in children.get(os.getpid(), []) if names[pid] in compilers]
    while ours:
        pid = ours.pop()
        ours += children.get(pid, [])
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def headers_beside(options: Mapping[str, Any]) -> Iterator[None]:
    """Precompile the headers of torch's C++ files meanwhile, in a thread, where it keeps none yet.

    That takes 9 s of processor time, once on a machine; tracing a graph takes as long. `options`
    are those that the graph is compiled with.
    """
    from torch._inductor import codecache, config

    def precompile() -> None:
        # if anything is wrong, torch does it itself, and says so
        with suppress(Exception), config.patch(dict(options)):
            codecache.CppWrapperCodeCache.load_async(
                "", submit_fn=lambda compile_the_file: None, needs_vec_isa=True
            )

    thread = threading.Thread(target=precompile, daemon=True)
    if not any(Path(getattr(codecache, "_HEADER_DIR", "")).glob("*.gch")):
        thread.start()
    try:
        yield
    finally:
        while thread.is_alive():
            end_compilers()
            thread.join(0.05)


def compiler_names() -> set[str]:
    """Return the names of the compilers that torch may call, as the system lists them."""
    from torch._inductor import config

    listed = config.cpp.cxx if isinstance(config.cpp.cxx, list | tuple) else (config.cpp.cxx,)
    paths = [path for name in (*listed, "g++", "clang++") if name and (path := shutil.which(name))]
    return {Path(path).name[:_NAME] for path in paths}


def _processes() -> Iterator[tuple[int, str, int]]:
    """Yield the number, the name and the parent of each process."""
    for folder in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            begin, _, rest = (folder / "stat").read_text(errors="replace").rpartition(")")
            yield int(folder.name), begin.partition("(")[2], int(rest.split()[1])
