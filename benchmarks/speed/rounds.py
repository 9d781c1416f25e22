"""Workers in turns: each side is a long-lived process, and one at a time has the word.

One process a side, because torch and XLA in one would share thread pools, allocators and caches,
and because only a process of its own has a memory high-water mark of its own. The sides take turns,
a block each, and each round begins with the next of them, so that what else the machine does, and
how warm it is, falls on all alike.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parents[1]
PATIENCE = 900.0  # seconds after which an answer is no longer awaited
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NPROC": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_PLATFORMS": "cpu",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MPLBACKEND": "Agg",
}


class Worker:
    """A side's process."""

    def __init__(self, side: str, environment: dict[str, str]) -> None:
        self.side = side
        self.trouble: dict[str, Any] | None = None
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 # closed with the worker
        self.place = tempfile.TemporaryDirectory()  # what MLflow leaves beside its database
        path = f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "speed.worker", side],
            cwd=self.place.name,
            env={**os.environ, **ONE_THREAD, **environment, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self._read()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.close()
            self.process.wait(30)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        self.place.cleanup()

    def ask(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Return the answer; once a side is absent or has failed, that is its answer to all."""
        if self.trouble is not None:
            return self.trouble
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"call": call, **arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the process is gone; why, its last words tell
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            why = self._last_words() if ready else f"no answer within {PATIENCE:.0f} s"
            self.process.kill()
            self.trouble = {"failed": why}
            return self.trouble
        answer: dict[str, Any] = json.loads(line)
        if "absent" in answer or "failed" in answer:
            self.trouble = answer
        return answer

    def _last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1][:300] if lines else "its process ended without a word"


@contextmanager
def workers(sides: Sequence[str]) -> Iterator[list[Worker]]:
    """Start a fresh process for each side, with an empty cache of compiled graphs; end them all."""
    with tempfile.TemporaryDirectory() as cache:
        found: list[Worker] = []
        try:
            for i, side in enumerate(sides):
                found.append(Worker(side, {"TORCHINDUCTOR_CACHE_DIR": f"{cache}/{i}"}))
            yield found
        finally:
            for worker in found:
                worker.__exit__(None, None, None)


def in_turns(found: Sequence[Worker], rounds: int) -> Iterator[tuple[int, Worker]]:
    """Yield every worker once a round, each round beginning with the next."""
    for number in range(rounds):
        shift = number % len(found)
        for worker in (*found[shift:], *found[:shift]):
            yield number, worker
