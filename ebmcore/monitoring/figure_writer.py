"""Renders figures in a separate process, so that training doesn't wait for them.

Matplotlib holds Python's lock while it renders, so a thread would stop the loop. The run sends a
figure as pickle, which takes some 10 ms where rendering takes half a second.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from ebmcore.errors import EbmError
from ebmcore.train.threads import processors

AFTER = 15.0  # seconds of a run before it starts the process
_PATIENCE = 60.0  # seconds at the end to wait for pending figures


class PendingFigure(NamedTuple):
    """A figure that was sent, with the functions that render and write it in this process."""

    name: str
    body: bytes
    render: Callable[[], bytes]
    write: Callable[[bytes], object]


class FigureWriter:
    """Renders the figures of one run: at first in this process, after some seconds in another.

    A figure that can't be pickled is rendered here at once; one that the process failed to render
    is rendered here at the end. Shorter runs, and those with one processor, start no process. A
    figure that is drawn when it is rendered goes to the process at once, and so Matplotlib is never
    imported here.

    Args:
        after: Seconds before figures are sent to the process; `AFTER` if None.
    """

    def __init__(self, after: float | None = None) -> None:
        self.began = time.perf_counter()
        self.after = AFTER if after is None else after
        self.seconds = 0.0  # of the process
        self._queue: queue.SimpleQueue[PendingFigure | None] = queue.SimpleQueue()
        self._pending: list[PendingFigure] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def __call__(
        self,
        figure: Any,
        name: str,
        render: Callable[[], bytes],
        write: Callable[[bytes], object],
    ) -> None:
        """Render a figure, by `render` or in the process, and `write` the image.

        Raises the errors of `render` and `write` when this process calls them.
        """
        body = self._packed(figure)
        if body is None:
            write(render())
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._send, name="figures", daemon=True)
            self._thread.start()
        pending = PendingFigure(name, body, render, write)
        self._pending.append(pending)
        self._queue.put(pending)

    def close(self, *, wait: bool = True) -> list[tuple[str, Exception]]:
        """Wait for pending figures, or drop them; return names and errors of failed ones."""
        if self._thread is None:
            return []
        self._queue.put(None)
        self._thread.join(_PATIENCE if wait else 0)
        if self._thread.is_alive():
            if self._process is not None:
                self._process.kill()
            self._thread.join()
        failed: list[tuple[str, Exception]] = []
        for pending in self._pending if wait else ():
            try:
                pending.write(pending.render())
            except Exception as error:
                failed.append((pending.name, error))
        self._pending, self._thread = [], None
        return failed

    def _packed(self, figure: Any) -> bytes | None:
        """Return a figure and its settings as bytes; None when this process renders it."""
        mpl = sys.modules.get("matplotlib")  # None: the figure is drawn where it is rendered
        early = mpl is not None and time.perf_counter() - self.began < self.after
        if early or processors() < 2 or (self._thread is not None and not self._thread.is_alive()):
            return None
        settings = {}
        if mpl is not None:
            usual = mpl.rcParamsDefault
            settings = {k: v for k, v in mpl.rcParams.items() if k in usual and v != usual[k]}
            settings.pop("backend", None)
        try:
            return pickle.dumps((figure, settings))
        except Exception:  # pickling runs the code of any object in the figure
            return None

    def _send(self) -> None:
        """Send one figure after another to the process, in a thread that mostly waits."""
        command = [sys.executable, "-m", "ebmcore.monitoring.figure_process"]
        environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        with (
            suppress(OSError, ValueError, EbmError),  # it can't start or died, or the disk is full
            subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=none, env=environment
            ) as self._process,
        ):
            to, answers = self._process.stdin, self._process.stdout
            assert to is not None
            assert answers is not None
            while (pending := self._queue.get()) is not None:
                to.write(f"{len(pending.body)}\n".encode() + pending.body)
                to.flush()
                seconds, size = answers.readline().split()  # ValueError when the process died
                if png := answers.read(int(size)):
                    pending.write(png)
                    self.seconds += float(seconds)
                    self._pending.remove(pending)
