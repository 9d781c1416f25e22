"""Commands in forks of a warm interpreter, where a fresh process is not the point of the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support import FORK_SERVER, ROOT


class Forks:
    """A server of forks, `fork_server.py`, under one interpreter; it starts when it is needed."""

    def __init__(self, python: Path | str = sys.executable) -> None:
        self.python = python
        self.server: subprocess.Popen[str] | None = None

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
        self.server = self.server or self.start()
        assert self.server.stdin
        assert self.server.stdout
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as error:
            request = {
                "arguments": [*map(str, arguments)],
                "cwd": str(cwd),
                "env": env,
                "path": [*map(str, path)],
                "stdout": out.name,
                "stderr": error.name,
                "timeout": timeout,
                "broken": broken or {},
            }
            print(json.dumps(request), file=self.server.stdin, flush=True)
            answer = self.server.stdout.readline()
            assert answer, f"{self.python} {FORK_SERVER.name} has ended"
            texts = (Path(file.name).read_text(encoding="utf-8") for file in (out, error))
            return subprocess.CompletedProcess(request["arguments"], int(answer), *texts)

    def close(self) -> None:
        """End the server."""
        if self.server:
            self.server.communicate()


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
