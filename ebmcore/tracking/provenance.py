"""What a run was made with: versions, plugins, and the commit of the working directory."""

from __future__ import annotations

import getpass
import platform
import subprocess
import sys
from typing import Any

import ebmcore
from ebmcore.plugins import Host, Status


def provenance(host: Host | None) -> dict[str, Any]:
    """Collect versions, loaded plugins and the git commit, as JSON types."""
    import torch

    return {
        "versions": {
            "ebmcore": ebmcore.__version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "plugins": [] if host is None else plugins(host),
        "git": git_commit(),
        "command": sys.argv,
        "user": user(),
    }


def plugins(host: Host) -> list[dict[str, Any]]:
    """List the plugins that were loaded, each with its version, or its file's hash."""
    return [
        {
            "name": plugin.found.name,
            "distribution": plugin.found.distribution or None,
            "version": plugin.found.version or None,
            "file": plugin.found.target if plugin.found.is_file else None,
            "sha256": plugin.found.sha256 or None,
        }
        for plugin in host.plugins
        if plugin.status is Status.OK
    ]


def user() -> str:
    """Return the user's name; empty in a container that knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def git_commit() -> dict[str, Any] | None:
    """Return the commit of the working directory and whether it was changed, None outside git."""
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
