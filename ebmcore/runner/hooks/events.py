"""The events of a run: what calls its callbacks and the life-cycle hooks of plugins."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ebmcore.errors import DirectoryError
from ebmcore.plugins import Host
from ebmcore.runner.hooks.calls import notify
from ebmcore.runner.run import Run
from ebmcore.train.components import CallbackEntry
from ebmcore.train.loop import Loop
from ebmcore.train.rng import own_global_stream

_OFF = "callbacks_off"


class Events:
    """Calls hooks and callbacks, in this order but at the end; one that raises stops no other.

    Args:
        host: The plugins, whose hooks are called; None for a run made of objects.
        run: The run that they get.
        loop: Has the callbacks among its parts, and counts their seconds.
        warn: Called with each error; a callback that raised is switched off.
        log: Called with a level and the traceback of an error.
    """

    def __init__(
        self,
        host: Host | None,
        run: Run,
        loop: Loop,
        warn: Callable[[str], None],
        log: Callable[[str, str], None],
    ) -> None:
        self.host = host
        self.run = run
        self.warn = warn
        self.log = log
        self.loop = loop
        self.parts = loop.parts
        self._shows_metrics = False
        self._active = list(loop.parts.callbacks)
        self._recorded: deque[tuple[int, Mapping[str, float]]] = deque()
        self._ended = False

    def start(self) -> None:
        """The run begins, or goes on."""
        self.hook("ebmcore_run_start", run=self.run)
        self._call("on_start")

    def after_step(self, *first: Callable[[], None] | None) -> Callable[[], None]:
        """Return what to call after each step: `first`, and callbacks only if one looks."""
        calls = [call for call in first if call is not None]
        if self._listening("on_step"):
            calls.append(self._step)

        def after() -> None:
            for call in calls:
                call()

        return after

    def _step(self) -> None:
        self.run.step = self.loop.step
        self._call("on_step", self.run.step)

    def metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Metrics were recorded; those that a callback logs meanwhile come after these."""
        if self._ended or not self._listening("on_metrics"):
            return
        self._recorded.append((step, MappingProxyType(dict(metrics))))
        if self._shows_metrics:
            return
        self._shows_metrics = True
        try:
            while self._recorded:
                self._call("on_metrics", *self._recorded.popleft())
        finally:
            self._shows_metrics = False
            self._recorded.clear()

    def checkpoint(self, path: Path) -> None:
        """A checkpoint was written."""
        self.hook("ebmcore_checkpoint", run=self.run, path=path)
        self._call("on_checkpoint", path)

    def error(self, error: BaseException) -> None:
        """The run is about to end as FAILED."""
        self.hook("ebmcore_run_error", run=self.run, error=error)
        self._call("on_error", error)

    def end(self, status: str) -> None:
        """The run ended; hooks come last, so that they see what callbacks logged."""
        self._ended = True
        self._call("on_end", status)
        self.hook("ebmcore_run_end", run=self.run, status=status)

    def hook(self, hook: str, **arguments: Any) -> None:
        """Call a life-cycle hook; a plugin that raises in it is reported, and that is all."""
        for problem in notify(self.host, hook, **arguments) if self.host else ():
            self.warn(problem)

    def state(self) -> dict[str, list[str]]:
        """Return which callbacks were switched off, if any."""
        off = [entry.name for entry in self.parts.callbacks if entry not in self._active]
        return {_OFF: off} if off else {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        self._active = [entry for entry in self._active if entry.name not in state.get(_OFF, ())]

    def _listening(self, event: str) -> list[CallbackEntry]:
        return [entry for entry in self._active if event in entry.events]

    def _call(self, event: str, *arguments: Any) -> None:
        for entry in self._listening(event):
            try:
                with self.loop.timing("callbacks"), own_global_stream(None, self.parts.device):
                    getattr(entry.callback, event)(self.run, *arguments)
            except DirectoryError:  # not the callback's fault
                raise
            except (Exception, SystemExit) as error:
                self._active.remove(entry)
                what = f"{entry.label} raised {type(error).__name__}: {error} in {event}"
                self.log("ERROR", f"step {self.run.step}: {what}\n{traceback.format_exc()}")
                self.warn(f"{what}; it is switched off and the run continues (see log.txt)")
