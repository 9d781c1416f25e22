"""Drawing figures without holding up the training: in a process beside it, once a run is long.

Matplotlib holds Python's lock while it draws, so a thread would stop the loop for as long. A figure
is handed over as pickle, which takes some 10 ms where drawing it takes half a second.
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

AFTER = 15.0  # seconds of a run from which on its figures are drawn beside it
_PATIENCE = 60.0  # seconds at the end for what is still to be drawn


class Job(NamedTuple):
    """A figure that was handed over, and what draws it here if nothing else does."""

    name: str
    body: bytes
    here: Callable[[], bytes]  # draws it
    write: Callable[[bytes], object]  # puts the picture in its place


class Artist:
    """Draws the figures of one run: at once, and after some seconds in a process of its own.

    What can't be handed over is drawn here at once, and what could not be drawn there at the end.
    Runs that are shorter, and those that have one processor, start no process.

    Args:
        after: Seconds from which on figures are handed over; `AFTER` if None.
    """

    def __init__(self, after: float | None = None) -> None:
        self.began = time.perf_counter()
        self.after = AFTER if after is None else after
        self.seconds = 0.0  # of the other process
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._waiting: list[Job] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def __call__(
        self,
        figure: Any,
        name: str,
        here: Callable[[], bytes],
        write: Callable[[bytes], object],
    ) -> None:
        """Draw a figure, by `here` or beside the run, and `write` the picture.

        Raises what these raise, when it is drawn here.
        """
        body = self._packed(figure)
        if body is None:
            write(here())
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._hand_over, name="figures", daemon=True)
            self._thread.start()
        job = Job(name, body, here, write)
        self._waiting.append(job)
        self._jobs.put(job)

    def close(self, *, wait: bool = True) -> list[tuple[str, Exception]]:
        """Wait for what is still to be drawn, or leave it; return what can't be, and why."""
        if self._thread is None:
            return []
        self._jobs.put(None)
        self._thread.join(_PATIENCE if wait else 0)
        if self._thread.is_alive():
            if self._process is not None:
                self._process.kill()
            self._thread.join()
        failed: list[tuple[str, Exception]] = []
        for job in self._waiting if wait else ():
            try:
                job.write(job.here())
            except Exception as error:
                failed.append((job.name, error))
        self._waiting, self._thread = [], None
        return failed

    def _packed(self, figure: Any) -> bytes | None:
        """Return a figure, and how it is to be drawn, as bytes; None when it stays here."""
        early = time.perf_counter() - self.began < self.after
        if early or processors() < 2 or (self._thread is not None and not self._thread.is_alive()):
            return None
        import matplotlib as mpl

        usual = mpl.rcParamsDefault
        settings = {k: v for k, v in mpl.rcParams.items() if k in usual and v != usual[k]}
        settings.pop("backend", None)
        try:
            return pickle.dumps((figure, settings))
        except Exception:  # whatever it is that the figure holds
            return None

    def _hand_over(self) -> None:
        """Pass one job after another to the process, in a thread that mostly waits."""
        command = [sys.executable, "-m", "ebmcore.monitoring.figure_process"]
        environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        with (
            suppress(OSError, ValueError, EbmError),  # it can't be started, it died, a full disk
            subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=none, env=environment
            ) as self._process,
        ):
            to, answers = self._process.stdin, self._process.stdout
            assert to is not None
            assert answers is not None
            while (job := self._jobs.get()) is not None:
                to.write(f"{len(job.body)}\n".encode() + job.body)
                to.flush()
                seconds, size = answers.readline().split()  # ValueError when there is no answer
                if png := answers.read(int(size)):
                    job.write(png)
                    self.seconds += float(seconds)
                    self._waiting.remove(job)
