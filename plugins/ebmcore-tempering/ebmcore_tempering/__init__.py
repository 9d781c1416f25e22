"""Parallel tempering for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_tempering.kernel import ParallelTempering as ParallelTempering
    from ebmcore_tempering.state import AdjustedTemperingInfo as AdjustedTemperingInfo
    from ebmcore_tempering.state import TemperingInfo as TemperingInfo
    from ebmcore_tempering.state import TemperingState as TemperingState
    from ebmcore_tempering.swaps import Swap as Swap
    from ebmcore_tempering.swaps import swap as swap

_HOME = {
    "AdjustedTemperingInfo": "state",
    "ParallelTempering": "kernel",
    "Swap": "swaps",
    "TemperingInfo": "state",
    "TemperingState": "state",
    "swap": "swaps",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
