"""Sweeps and groups of seeds: many runs of one config, and how they compare."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_sweep.local_launcher import Local
    from ebmcore_sweep.search.api import CheckedSweep, Swept, check_sweep, join_sweep, run_sweep
    from ebmcore_sweep.seeds.api import resume_seeds, run_seeds
    from ebmcore_sweep.seeds.group import Group

_HOME = {
    "CheckedSweep": "search.api",
    "Group": "seeds.group",
    "Local": "local_launcher",
    "Swept": "search.api",
    "check_sweep": "search.api",
    "join_sweep": "search.api",
    "resume_seeds": "seeds.api",
    "run_seeds": "seeds.api",
    "run_sweep": "search.api",
}
__all__ = [
    "CheckedSweep",
    "Group",
    "Local",
    "Swept",
    "check_sweep",
    "join_sweep",
    "resume_seeds",
    "run_seeds",
    "run_sweep",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
