"""Starting many command lines through a launcher, so many at once, until all have ended."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ebmcore.config import build, read_config, read_node
from ebmcore.contracts import Job, Launcher, Task
from ebmcore.errors import ConfigError, EbmError, Problem
from ebmcore.runs.logs import open_log
from ebmcore.runs.seal import is_sealed, seal
from ebmcore.train.signals import Interrupts
from ebmcore.train.threads import processors

if TYPE_CHECKING:
    from ebmcore.plugins import Host

_LOOK = 0.1  # seconds between two looks at the jobs
_LOCAL = "local"
_SEALED = "launcher"
_MOST_WORKERS = 16  # processes of the local launcher on one processor, each of which imports torch


def open_launcher(host: Host, options: str | Mapping[str, Any]) -> Launcher:
    """Make a launcher of its name, or of a mapping with its `type` and keys.

    Raises EbmError when there is none of that name, a key is wrong, or it can't be made.
    """
    node = read_node(read_config({"launcher": options}), host, "launcher")
    made: Launcher = build(node, {})
    return made


def as_launcher(host: Host, launcher: str | Mapping[str, Any] | Launcher) -> Launcher:
    """Return the object, or make it of its name or its mapping."""
    return open_launcher(host, launcher) if isinstance(launcher, (str, Mapping)) else launcher


def launcher_name(launcher: str | Mapping[str, Any] | Launcher) -> str:
    """Return its type, or the class of an object."""
    if isinstance(launcher, Mapping):
        return str(launcher.get("type"))
    return launcher if isinstance(launcher, str) else type(launcher).__name__


def check_workers(at_once: int, workers: int, launcher: str | Mapping[str, Any] | Launcher) -> None:
    """Raise ConfigError when there are none, or more than this machine can start."""
    most = _MOST_WORKERS * processors()
    if workers < 1:
        message = f"should be at least 1; got {workers}"
    elif launcher_name(launcher) == _LOCAL and at_once > most:
        message = f"should be at most {most} on the {processors()} processors here; got {workers}"
    else:
        return
    raise ConfigError([Problem("workers", message)])


def record_launcher(launcher: str | Mapping[str, Any] | Launcher) -> dict[str, Any]:
    """Return the fields of run.json that name a launcher, under this user's seal."""
    named = launcher if isinstance(launcher, (str, Mapping)) else launcher_name(launcher)
    return {"launcher": named, "launcher_seal": seal(_SEALED, _text(named))}


def recorded_launcher(facts: Mapping[str, Any]) -> tuple[str | Mapping[str, Any], str]:
    """Return the launcher that a run.json names, and a warning where it isn't used.

    A launcher may name a cluster and commands to run there, so `local` stands in for one that this
    user's installation did not record.
    """
    found = facts.get("launcher")
    if not isinstance(found, (str, Mapping)) or found == _LOCAL:
        return _LOCAL, ""
    if is_sealed(facts.get("launcher_seal"), _SEALED, _text(found)):
        return found, ""
    name = found.get("type") if isinstance(found, Mapping) else found
    return _LOCAL, (
        f"the runs are started on this machine: your installation did not record the launcher "
        f"{str(name)[:80]!r} that run.json names; give --launcher to use one"
    )


def _text(launcher: str | Mapping[str, Any]) -> str:
    return json.dumps(launcher, sort_keys=True, default=str)


def shared_threads(launcher: str, workers: int) -> dict[str, str]:
    """Return the variables with which runs that share this machine's cores share them evenly."""
    if launcher != _LOCAL or workers == 1 or "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, processors() // workers))}


def work(
    tasks: Mapping[str, Task],
    launcher: Launcher,
    workers: int,
    interrupts: Interrupts,
    *,
    started: Callable[[str], None],
    ended: Callable[[str, int | None], None],
    looked: Callable[[], None] = lambda: None,
) -> None:
    """Run the tasks in order, `workers` at once; after a signal stop them and wait for their end.

    `started` hears a task's key; `ended` that and the exit code, None when it couldn't be started;
    `looked` is called after each look at the jobs. Raises KeyboardInterrupt at a second Ctrl-C.
    """
    waiting = deque(tasks.items())
    jobs: dict[str, Job] = {}
    try:
        while jobs or (waiting and interrupts.number is None):
            while waiting and len(jobs) < workers and interrupts.number is None:
                key, task = waiting.popleft()
                started(key)
                try:
                    jobs[key] = launcher.start(task)
                except EbmError as error:
                    with suppress(OSError, EbmError), open_log(task.log) as log:
                        log.write(f"{error}\n".encode())
                    ended(key, None)
            for key, job in list(jobs.items()):
                if interrupts.number is not None:
                    job.stop()
                code = job.poll()
                if code is not None:
                    del jobs[key]
                    ended(key, code)
            looked()
            if jobs:
                time.sleep(_LOOK)
    finally:
        launcher.close()
