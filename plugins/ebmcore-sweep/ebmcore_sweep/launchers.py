"""The launcher of a group: built from its name, checked, recorded, and read back on resume."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ebmcore import ConfigError, Launcher, Problem
from ebmcore.config import build, read_config, read_node
from ebmcore.runs import is_signed, sign
from ebmcore.train import processors

if TYPE_CHECKING:
    from ebmcore import Host

LOCAL = "local"
_LOCAL_NAMES = (LOCAL, f"sweep:{LOCAL}")
_PURPOSE = "launcher"
_MOST_WORKERS = 16  # processes of the local launcher on one processor, each of which imports torch


def open_launcher(host: Host, options: str | Mapping[str, Any]) -> Launcher:
    """Build a launcher from its name, or from a mapping with its `type` and keys.

    Raises EbmError when there is none of that name, a key is wrong, or it can't be made.
    """
    node = read_node(read_config({"launcher": options}), host, "launcher")
    made: Launcher = build(node, {})
    return made


def as_launcher(host: Host, launcher: str | Mapping[str, Any] | Launcher) -> Launcher:
    """Return the object, or build it from its name or its mapping."""
    return open_launcher(host, launcher) if isinstance(launcher, (str, Mapping)) else launcher


def launcher_name(launcher: str | Mapping[str, Any] | Launcher) -> str:
    """Return its type, or the class of an object."""
    if isinstance(launcher, Mapping):
        return str(launcher.get("type"))
    return launcher if isinstance(launcher, str) else type(launcher).__name__


def is_local(launcher: str | Mapping[str, Any] | Launcher) -> bool:
    """Say whether it starts processes of this machine alone."""
    return launcher_name(launcher) in _LOCAL_NAMES


def check_workers(at_once: int, workers: int, launcher: str | Mapping[str, Any] | Launcher) -> None:
    """Raise ConfigError when there are none, or more than this machine can start."""
    most = _MOST_WORKERS * processors()
    if workers < 1:
        message = f"should be at least 1; got {workers}"
    elif is_local(launcher) and at_once > most:
        message = f"should be at most {most} on the {processors()} processors here; got {workers}"
    else:
        return
    raise ConfigError([Problem("workers", message)])


def record_launcher(launcher: str | Mapping[str, Any] | Launcher) -> dict[str, Any]:
    """Return the fields of run.json that name a launcher, under this user's signature."""
    named = launcher if isinstance(launcher, (str, Mapping)) else launcher_name(launcher)
    return {"launcher": named, "launcher_seal": sign(_PURPOSE, _text(named))}


def recorded_launcher(facts: Mapping[str, Any]) -> tuple[str | Mapping[str, Any], str]:
    """Return the launcher that a run.json names, and a warning where it isn't used.

    A launcher may name a cluster and commands to run there, so `local` stands in for one that this
    user's installation did not record.
    """
    found = facts.get("launcher")
    if not isinstance(found, (str, Mapping)) or found in _LOCAL_NAMES:
        return LOCAL, ""
    if is_signed(facts.get("launcher_seal"), _PURPOSE, _text(found)):
        return found, ""
    name = found.get("type") if isinstance(found, Mapping) else found
    return LOCAL, (
        f"the runs are started on this machine: your installation did not record the launcher "
        f"{str(name)[:80]!r} that run.json names; give --launcher to use one"
    )


def _text(launcher: str | Mapping[str, Any]) -> str:
    return json.dumps(launcher, sort_keys=True, default=str)


def shared_threads(launcher: str | Mapping[str, Any] | Launcher, workers: int) -> dict[str, str]:
    """Return the variables that divide this machine's cores evenly among its runs."""
    if not is_local(launcher) or workers == 1 or "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, processors() // workers))}
