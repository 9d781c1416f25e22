"""Where chains begin: `Noise`, `Data`, `Persistent` and `Proposed`; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_chains.batch import Data as Data
    from ebmcore_chains.noise import Noise as Noise
    from ebmcore_chains.persistent import Persistent as Persistent
    from ebmcore_chains.proposed import Proposed as Proposed

_HOME = {"Data": "batch", "Noise": "noise", "Persistent": "persistent", "Proposed": "proposed"}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
