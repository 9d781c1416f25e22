"""Hand a message to a command or to a web address, within a limited time and without a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

_QUOTED = 300  # characters of a command's errors in a warning


class NotDeliveredError(Exception):
    """A message that did not arrive, and why."""


def run_command(
    command: Sequence[str], message: bytes, variables: Mapping[str, str], timeout: float
) -> None:
    """Run a command with the message on its standard input, in the user's home folder.

    Raises NotDeliveredError when it isn't found, fails or takes longer; then it is killed with the
    processes that it started.
    """
    program = shutil.which(command[0])
    if program is None or not os.path.isabs(program):
        raise NotDeliveredError(f"there is no command {command[0]!r} on the PATH")
    home = Path(os.path.expanduser("~"))
    with TemporaryFile() as given, TemporaryFile() as errors:
        given.write(message)
        given.seek(0)
        try:
            process = subprocess.Popen(
                [program, *command[1:]],
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=home if home.is_dir() else home.anchor or os.sep,
                env={**os.environ, **variables},
                start_new_session=True,
            )
        except OSError as error:
            raise NotDeliveredError(f"{program} can't be run: {error.strerror}") from error
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NotDeliveredError(f"{command[0]} took more than {timeout:g} s") from None
        finally:
            _kill(process)
        if code:
            errors.seek(0)
            said = errors.read(_QUOTED).decode(errors="replace").strip().partition("\n")[0]
            raise NotDeliveredError(f"{command[0]} ended with code {code}: {said or 'no message'}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that still runs, and its children."""
    if process.poll() is not None:
        return
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, 9)
        else:
            process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which the user did not name."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def post(url: str, message: bytes, timeout: float) -> None:
    """Post a JSON message. Raises NotDeliveredError when there is no good answer in time."""
    answer: list[str] = []

    def send() -> None:
        request = urllib.request.Request(
            url, message, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            opener = urllib.request.build_opener(_NoRedirect)
            with opener.open(request, timeout=timeout):
                answer.append("")
        except Exception as error:  # of the network, of the address, of the answer
            answer.append(f"{type(error).__name__}: {error}")

    # a server that sends byte by byte would outlast a timeout of each call
    thread = threading.Thread(target=send, name="ebmcore-notify", daemon=True)
    thread.start()
    thread.join(timeout)
    why = answer[0] if answer else f"no answer within {timeout:g} s"
    if why:
        raise NotDeliveredError(why)
