"""A launcher of Slurm jobs; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_slurm.launcher import Slurm

__all__ = ["Slurm"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovery does not import submitit."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.launcher"), name)
