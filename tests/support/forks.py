"""Commands in forks of a warm interpreter, where a fresh process is not the point of the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support import FORK_SERVER, ROOT


class Forks:
    """A server of forks, `fork_server.py`, under one interpreter; it starts when it is needed."""

    def __init__(self, python: Path | str = sys.executable) -> None:
        self.python = python
        self.server: subprocess.Popen[str] | None = None
        self.imports: list[str] = []  # modules that its forks from now on find imported

    def start(self) -> subprocess.Popen[str]:
        """Start the server: with no variable of a test's, as forks are handed theirs."""
        kept = ("PYTHONPATH", "EBMCORE_", "MLFLOW_")
        variables = {k: v for k, v in os.environ.items() if not k.startswith(kept)}
        return subprocess.Popen(
            [self.python, FORK_SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**variables, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"},
        )

    def run(
        self,
        *arguments: object,
        cwd: Path,
        env: dict[str, str],
        path: Iterable[Path] = (),
        timeout: int = 300,
        broken: dict[int, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments, `-m` or `-c` first, as `subprocess.run` would.

        `broken` says of the descriptors 1 and 2 how they are broken: closed, gone,
        hung up, or a file such as /dev/full to write to in place of them.
        """
        with Streams() as streams:
            request = self.request(arguments, cwd, env, path, timeout, broken)
            code = int(self.ask(request | streams.names()))
            return subprocess.CompletedProcess(request["arguments"], code, *streams.texts())

    def begin(
        self,
        *arguments: object,
        cwd: Path,
        env: dict[str, str],
        broken: dict[int, str] | None = None,
    ) -> Begun:
        """Begin to run Python with these arguments, as `subprocess.Popen` would."""
        request = self.request(arguments, cwd, env, (), 600, broken)
        return Begun(self, request | {"goes_on": True})

    def request(
        self,
        arguments: Iterable[object],
        cwd: Path,
        env: dict[str, str],
        path: Iterable[Path],
        timeout: int,
        broken: dict[int, str] | None,
    ) -> dict[str, Any]:
        """Write what `fork_server.py` reads, for a command that it waits for."""
        return {
            "arguments": [*map(str, arguments)],
            "cwd": str(cwd),
            "env": env,
            "path": [*map(str, path)],
            "timeout": timeout,
            "broken": broken or {},
            "goes_on": False,
            "imports": self.imports,
        }

    def ask(self, request: dict[str, Any]) -> str:
        """Send the server a line; return its answer."""
        self.server = self.server or self.start()
        assert self.server.stdin
        assert self.server.stdout
        print(json.dumps(request), file=self.server.stdin, flush=True)
        answer = self.server.stdout.readline()
        assert answer, f"{self.python} {FORK_SERVER.name} has ended"
        return answer.strip()

    def close(self) -> None:
        """End the server."""
        if self.server:
            self.server.communicate()


class Streams:
    """The files that take what a fork writes to its two streams."""

    def __init__(self) -> None:
        self.files = [tempfile.NamedTemporaryFile() for _ in range(2)]  # noqa: SIM115 (see `close`)

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def names(self) -> dict[str, str]:
        """Name the files, as the server asks for them."""
        return dict(zip(("stdout", "stderr"), (file.name for file in self.files), strict=True))

    def texts(self) -> tuple[str, ...]:
        """Return what was written."""
        return tuple(Path(file.name).read_text(encoding="utf-8") for file in self.files)

    def close(self) -> None:
        """Remove the files."""
        for file in self.files:
            file.close()


class Begun:
    """A fork that goes on, with what tests use of `subprocess.Popen`."""

    def __init__(self, forks: Forks, request: dict[str, Any]) -> None:
        self.forks = forks
        self.streams = Streams()
        self.pid = int(forks.ask(request | self.streams.names()))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, minus the signal's number for one; None while it goes on."""
        if self.returncode is None:
            answer = self.forks.ask({"ended": self.pid})
            self.returncode = int(answer) if answer else None
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        """Wait for the end; return the exit code."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("a fork", timeout)
            time.sleep(0.02)
        return code

    def communicate(self, timeout: float = 600) -> tuple[str, ...]:
        """Wait for the end; return what was written to standard output and standard error."""
        self.wait(timeout)
        return self.streams.texts()

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Kill what goes on, and remove its files."""
        self.kill()
        self.wait()
        self.streams.close()


class Launcher:
    """A launcher whose tasks are forks of one warm process, each done before the next begins."""

    def __init__(self, forks: Forks) -> None:
        self.forks = forks
        self.tasks: list[Any] = []

    def start(self, task: Any) -> Ended:
        """Run a task to its end."""
        self.tasks.append(task)
        environment = {**os.environ, **task.env}
        done = self.forks.run(*task.argv[1:], cwd=Path.cwd(), env=environment)
        task.log.parent.mkdir(exist_ok=True)
        task.log.write_text(done.stdout + done.stderr)
        return Ended(done.returncode)

    def close(self) -> None:
        """Nothing is left open."""


class Ended:
    """A task that has ended."""

    def __init__(self, code: int) -> None:
        self.code = code

    def poll(self) -> int:
        """Return its exit code."""
        return self.code

    def stop(self) -> None:
        """There is nothing to stop."""
