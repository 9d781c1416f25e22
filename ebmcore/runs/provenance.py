"""The origin of a run: versions, plugins, and the commit of the working directory."""

from __future__ import annotations

import getpass
import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from ebmcore.errors import DirectoryError
from ebmcore.plugins import Host, Status
from ebmcore.runs.run_json import read_run_json
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.version import __version__


def provenance(host: Host | None) -> dict[str, Any]:
    """Collect versions, loaded plugins and the git commit, as JSON types."""
    import torch

    return {
        "versions": {
            "ebmcore": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "plugins": [] if host is None else plugins(host),
        "git": git_commit(),
        "command": sys.argv,
        "user": user(),
    }


def plugins(host: Host) -> list[dict[str, Any]]:
    """List the loaded plugins, each with its version, or its file's hash."""
    modules = [(name, content_hash(name)) for name in host.modules]
    return [
        {
            "name": plugin.found.name,
            "distribution": plugin.found.distribution or None,
            "version": plugin.found.version or None,
            "file": plugin.found.target if plugin.found.is_file else None,
            "sha256": plugin.found.sha256 or content_hash(plugin.found.target),
        }
        for plugin in host.plugins
        if plugin.status is Status.OK
    ] + [
        {"name": name, "distribution": None, "version": None, "file": None, "sha256": sha256}
        for name, sha256 in modules
    ]


def content_hash(target: str) -> str | None:
    """Return one hash of all Python files of a plugin's package, None if they can't be read.

    It changes with edits to an editable install, as a version doesn't.
    """
    try:
        spec = importlib.util.find_spec(target.partition(":")[0].partition(".")[0])
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    files = [f for place in spec.submodule_search_locations or () for f in _python_files(place)]
    if not files and spec.origin and os.path.isfile(spec.origin):
        files = [spec.origin]
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb", buffering=0) as opened:
            digest.update(os.path.basename(file).encode() + b"\0" + opened.read() + b"\0")
    return digest.hexdigest() if files else None


def _python_files(place: str) -> list[str]:
    """List the Python files below a folder, in the order of their paths."""
    found = (os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names)
    return sorted((f for f in found if f.endswith(".py")), key=lambda file: file.split(os.sep))


def changes_since(config: str, host: Host, *, must_know: bool = False) -> list[str]:
    """Compare today's versions with those of the run whose recorded config this is.

    For a config outside a run directory there is nothing to compare; that counts as a change if
    the caller must know.
    """
    file = Path(config).parent / "run.json"
    try:
        then = read_run_json(SafeFiles(file.parent))
        recorded = {_label(p): p for p in then["plugins"]}
        versions = dict(then["versions"])
    except FileNotFoundError:
        unknown = f"there is no {file} to tell which versions it was made with"
        return [unknown] if must_know else []
    except (OSError, DirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return [f"{file} can't be read, so it isn't known which versions it was made with"]
    now = provenance(host)
    today = {_label(p): p for p in now["plugins"]}
    found = [
        f"{name} was {version!s:.50} when this run was made, and is {now['versions'][name]}"
        for name, version in versions.items()
        if name in now["versions"] and version != now["versions"][name]
    ]
    for name, plugin in recorded.items():
        other = today.get(name)
        if other is None:
            found.append(f"plugin {name} was loaded when this run was made, and isn't now")
        elif other["version"] != plugin.get("version"):
            was, now_is = plugin.get("version") or "of no known version", other["version"]
            found.append(f"plugin {name} was {was} when this run was made, and is {now_is}")
        elif other["sha256"] != plugin.get("sha256"):
            found.append(f"plugin {name} has other code than when this run was made")
    return found


def _label(plugin: dict[str, Any]) -> str:
    return str(plugin.get("distribution") or plugin["name"])


def user() -> str:
    """Return the user's name; empty in a container without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def git_commit() -> dict[str, Any] | None:
    """Return the commit of the working directory and whether it has changes, None outside git."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "changed": bool(_git("status", "--porcelain", "-uno"))}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
