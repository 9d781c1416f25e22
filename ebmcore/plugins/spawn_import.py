"""Local plugin files under a name that other processes can import.

A DataLoader's spawned worker unpickles an object by its module's name. A local file's module has a
name of its own, which no folder on the path holds; so a file of that name is left in the user's
cache folder, which only loads the plugin's file, and that folder is put at the end of the path,
which spawned processes inherit.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_SHIM = """\
import importlib.util, sys
spec = importlib.util.spec_from_file_location(__name__, {path!r})
module = sys.modules[__name__] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""


def leave_shim(name: str, path: Path) -> None:
    """Make module `name` importable in processes that are spawned from this one.

    Where no cache folder can be written, workers are the only ones to miss it.
    """
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = cache / "ebmcore" / "local"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = folder / f".{name}.{os.getpid()}"
        beside.write_text(_SHIM.format(path=str(path)), encoding="utf-8")
        beside.replace(folder / f"{name}.py")
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
