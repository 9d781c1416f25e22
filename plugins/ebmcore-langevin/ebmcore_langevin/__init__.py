"""Langevin samplers for ebmcore, loaded when they are first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_langevin.kernels import Langevin, LangevinInfo, LangevinState

__all__ = ["Langevin", "LangevinInfo", "LangevinState"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.kernels"), name)
