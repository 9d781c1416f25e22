"""The catalogue's file in the user's cache: read at once, written anew in the background."""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from ebmcore.version import __version__

FORMAT = 2
_PATIENCE = 120.0  # seconds after which a catalogue that was begun is begun anew
_WRITE = "from ebmcore.cli.shell.catalogue import write; write()"


def place() -> Path:
    """Return the file of this Python's catalogue."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    number = zlib.crc32(sys.prefix.encode())
    return Path(cache) / "ebmcore" / f"completion-{number:08x}.json"


def installed() -> int:
    """Return a number that changes with what is installed: the folders of metadata, their times."""
    found = [str(FORMAT), __version__, sys.version]
    for folder in sorted({p for p in sys.path if p.endswith(("site-packages", "dist-packages"))}):
        with suppress(OSError), os.scandir(folder) as entries:
            found += sorted(
                f"{entry.path} {entry.stat().st_mtime_ns}"
                for entry in entries
                if entry.name.endswith((".dist-info", ".egg-info"))
            )
    return zlib.crc32("\n".join(found).encode())


def read() -> dict[str, Any]:
    """Return the catalogue, or an empty one; have it written anew unless it is `fresh`."""
    found: dict[str, Any] = {}
    with suppress(OSError, RuntimeError, ValueError):  # RuntimeError: there is no home
        loaded = json.loads(place().read_text(encoding="utf-8"))
        if isinstance(loaded, dict) and loaded.get("format") == FORMAT:
            found = loaded
    files = found.get("files", {})
    found["fresh"] = found.get("installed") == installed() and times(set(files)) == files
    if not found["fresh"]:
        with suppress(OSError, RuntimeError):
            _begin()
    return found


def write(catalogue: dict[str, Any]) -> None:
    """Replace the file."""
    file = place()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({**catalogue, "format": FORMAT}), encoding="utf-8")
    part.replace(file)
    file.with_suffix(".begun").unlink(missing_ok=True)


def times(files: set[str]) -> dict[str, int]:
    """Return when each file was changed last."""
    found = {}
    for file in sorted(files):
        with suppress(OSError):
            found[file] = os.stat(file).st_mtime_ns
    return found


def _begin() -> None:
    """Start the process that writes the catalogue, unless one was started a moment ago."""
    import subprocess  # 5 ms that a completion seldom needs

    mark = place().with_suffix(".begun")
    mark.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        if time.time() - mark.stat().st_mtime < _PATIENCE:
            return
    mark.touch()
    quiet = subprocess.DEVNULL
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_COMPLETE")}
    subprocess.Popen(
        [sys.executable, "-c", _WRITE],
        stdin=quiet, stdout=quiet, stderr=quiet, env=environment, start_new_session=True,
    )  # fmt: skip
