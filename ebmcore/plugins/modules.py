"""Parts of plain modules, which offer nothing: a config names one as `type: "package.module:Name"`.

Importing a module runs its code, so only those count that the user names: by `-p module:NAME`, or
by `plugins.modules` in a config of theirs.
"""

from __future__ import annotations

import importlib
from operator import attrgetter
from typing import Any

from ebmcore.errors import PluginError, first_line
from ebmcore.plugins.find import Found


def part_of_module(kind: str, full_name: str) -> tuple[str, Found, Any]:
    """Import a class or a function; return its name, the module as a plugin, and itself.

    Raises PluginError when the module doesn't define it, as when it only imports it.
    """
    module, _, name = full_name.partition(":")
    try:
        target: Any = attrgetter(name)(importlib.import_module(module))
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"{kind} {full_name!r} can't be imported here: {first_line(error)}. Install its "
            "module, or add its folder to PYTHONPATH."
        ) from error
    home = [getattr(target, key, None) for key in ("__module__", "__qualname__")]
    if home != [module, name] or not callable(target):
        raise PluginError(f"{kind} {full_name!r}: {module} defines no class or function {name!r}.")
    return name, Found(module, module), target
