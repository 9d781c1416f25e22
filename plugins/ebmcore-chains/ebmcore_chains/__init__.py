"""Where chains begin: `Noise`, `Data` and `Persistent`; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_chains.batch import Data
    from ebmcore_chains.noise import Noise
    from ebmcore_chains.persistent import Persistent

__all__ = ["Data", "Noise", "Persistent"]

_HOME = {"Data": "batch", "Noise": "noise", "Persistent": "persistent"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
