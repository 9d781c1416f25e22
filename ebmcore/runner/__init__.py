"""The runner: it builds an experiment from a config, trains it and records the run.

The names below are for plugins that run configs themselves, as sweeps do.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore.runner.api import (
        Prepared,
        changes,
        prepare,
        prepare_again,
        prepare_source,
        resume,
        run,
    )
    from ebmcore.runner.compose import compose
    from ebmcore.runner.named_run import run_directory
    from ebmcore.runner.run import Run

_HOME = {"Run": "run", "compose": "compose", "run_directory": "named_run"}
__all__ = [
    "Prepared",
    "Run",
    "changes",
    "compose",
    "prepare",
    "prepare_again",
    "prepare_source",
    "resume",
    "run",
    "run_directory",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: torch takes seconds, a path none."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'api')}"), name)


class _Package(ModuleType):
    """The package, in which `run` and `compose` are functions, not the modules of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, unless importing a module would hide a public name."""
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
