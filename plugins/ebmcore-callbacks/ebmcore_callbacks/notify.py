"""Notification of a run's end, by a command or a web address that the user's config names.

A run directory may come from anybody, so a resumed run notifies only if this user's own
installation recorded the command or the address.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from annotated_types import Gt, Le

from ebmcore import Callback, LiveRun
from ebmcore_callbacks.delivery import NotDeliveredError, post, run_command

Status = Literal["FINISHED", "FAILED", "KILLED"]
_KILLED = 3.0  # seconds that a run which was asked to end may take for this


class Notify(Callback):
    """Run a command, or post to a web address, when the run ends.

    Both get one JSON object, on standard input or as the body: status, run_dir, step, stopped,
    error, metrics. The command also gets EBMCORE_STATUS and EBMCORE_RUN in its environment. It
    runs in the home folder, without a shell. The run waits for `timeout` seconds at most, and a
    failure is a warning. Never put a password here: the run directory records it.

    Args:
        command: The program and its arguments; a name on the PATH, or an absolute path.
        url: An address, http:// or https://, in place of a command.
        when: The ends to tell of.
        timeout: Seconds that the run waits, at most 30.
    """

    check_params: ClassVar = {"command": ["true"]}
    metrics: ClassVar = ()  # it logs none

    def __init__(
        self,
        *,
        command: list[str] | None = None,
        url: str | None = None,
        when: Sequence[Status] = ("FINISHED", "FAILED", "KILLED"),
        timeout: Annotated[float, Gt(0), Le(30)] = 5.0,
    ) -> None:
        if (command is None) == (url is None):
            raise ValueError("give a command or a url, one of them")
        if command is not None:
            _check_command(command)
        if url is not None and (
            urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname
        ):
            raise ValueError(f"url: should begin with https:// or http:// and a host; got {url!r}")
        self.command = command
        self.url = url
        self.when = tuple(when)
        self.timeout = timeout
        self._error = ""

    def on_start(self, run: LiveRun) -> None:
        """Warn that a stranger's config names the command."""
        if not run.is_own:
            run.warn(
                f"notify: nobody is notified: {self._place} is named by the directory alone, and "
                "it isn't known that you recorded it"
            )

    def on_error(self, run: LiveRun, error: BaseException) -> None:
        """Remember the error, for the message."""
        self._error = f"{type(error).__name__}: {error}"

    def on_end(self, run: LiveRun, status: str) -> None:
        """Notify."""
        if status not in self.when or not run.is_own:
            return
        timeout = min(self.timeout, _KILLED) if status == "KILLED" else self.timeout
        message = json.dumps(self._message(run, status)).encode()
        variables = {"EBMCORE_STATUS": status, "EBMCORE_RUN": str(run.dir)}
        try:
            if self.command is not None:
                run_command(self.command, message, variables, timeout)
            else:
                post(str(self.url), message, timeout)
        except NotDeliveredError as error:
            run.warn(f"notify: {self._place} was not notified: {error}")

    def _message(self, run: LiveRun, status: str) -> dict[str, Any]:
        metrics = {k: v if math.isfinite(v) else str(v) for k, v in run.metrics.items()}
        return {
            "status": status,
            "run_dir": str(run.dir),
            "step": run.step,
            "stopped": run.stopped or None,
            "error": self._error or None,
            "metrics": metrics,
        }

    @property
    def _place(self) -> str:
        """The program or the host, without arguments and paths, which may be secret."""
        if self.command is not None:
            return repr(self.command[0])
        return repr(urlsplit(str(self.url)).hostname)


def _check_command(command: list[str]) -> None:
    if not command or not all(command) or any("\0" in word for word in command):
        raise ValueError(f"command: should be a list of a program and its words; got {command!r}")
    program = command[0]
    if os.path.basename(program) != program and not os.path.isabs(program):
        raise ValueError(
            f"command: {program!r} depends on the folder that a run starts in; write an absolute "
            "path, or a name on the PATH"
        )
