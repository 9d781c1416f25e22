"""A run as trackers see it, and the tags that describe a run's origin."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ebmcore.masking import mask
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.jsonl import as_number
from ebmcore.runs.parent_child import is_parent, recorded_parent
from ebmcore.service_contracts import TrackedRun

_WORDS = 60  # characters of a child's values in its title
_TITLE = 250  # characters of a title


def run_tags(run_dir: Path, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a run, from its run.json; missing and odd fields give no tag."""
    command = facts.get("command")
    words = [str(word) for word in command] if isinstance(command, list) else []
    versions, git = _mapping(facts.get("versions")), _mapping(facts.get("git"))
    listed, seed = facts.get("plugins"), facts.get("seed")
    plugins = [p for p in listed if isinstance(p, Mapping)] if isinstance(listed, list) else []
    tags = {
        "mlflow.user": facts.get("user"),
        "mlflow.source.name": _shown(words) if words else None,
        "mlflow.source.type": "LOCAL",
        "ebmcore.run_dir": str(run_dir.resolve()),
        "ebmcore.group": _group(facts),
        "ebmcore.seed": None if seed is None or is_parent(facts) else str(seed)[:_WORDS],
        "ebmcore.version": versions.get("ebmcore"),
        "torch.version": versions.get("torch"),
        "ebmcore.plugins": json.dumps(
            {
                str(p.get("distribution") or p.get("file")): p.get("version") or p.get("sha256")
                for p in plugins
            }
        ),
    }
    if git:
        tags["mlflow.source.git.commit"] = git.get("commit")
        tags["git.changed"] = str(git.get("changed")).lower()
    return {name: value for name, value in tags.items() if isinstance(value, str)}


def tracked_run(
    directory: RunDirectory,
    facts: Mapping[str, Any],
    *,
    config: Mapping[str, Any],
    live: bool = True,
    named: bool = True,
) -> TrackedRun:
    """Return a run as its trackers see it, from its run.json; odd fields count as missing."""
    name, started = facts.get("name"), as_number(facts.get("started"))
    return TrackedRun(
        dir=directory.path,
        name=name if isinstance(name, str) and name else "experiment",
        started=time.time() if started is None else started,
        config=config,
        tags=run_tags(directory.path, facts),
        live=live,
        named=named,
    )


def run_title(run_dir: Path, facts: Mapping[str, Any]) -> str:
    """Return a run's name in a list of runs: a child's begins with its values, or its seed."""
    reference, name = recorded_parent(facts), facts.get("name")
    words = reference and (reference.label or reference.key)
    if not words:
        return run_dir.name
    short = words if len(words) <= _WORDS else f"{words[: _WORDS - 1]}…"
    whole = name if isinstance(name, str) and name else run_dir.name
    return mask(f"{short} · {whole}")[:_TITLE]


def _shown(words: list[str]) -> str:
    """Return a command without folders: of the whole, MLflow shows the part behind the last /."""
    program = Path(words[0]).name.replace("__main__.py", "ebmcore")
    return " ".join([program, *(re.sub(r"[^\s=:,{\[]*/", "", mask(word)) for word in words[1:])])


def _group(facts: Mapping[str, Any]) -> str | None:
    """Return the kind of group that a parent is of, or the name of a child's parent."""
    if is_parent(facts):
        return str(facts["group"])
    reference = recorded_parent(facts)
    return None if reference is None else reference.name


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
