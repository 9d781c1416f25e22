"""Make local plugin files importable in spawned processes.

A DataLoader's spawned worker unpickles an object by its module's name. The module of a local file
has a name that no folder on the path holds. So a file of that name, which only loads the plugin's
file, goes to the user's cache folder, and that folder to the end of the path, which spawned
processes inherit.
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

    If no cache folder can be written, only spawned workers are affected.
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
