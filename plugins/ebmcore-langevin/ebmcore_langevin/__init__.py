"""Langevin samplers for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_langevin.kernels import DecayingState, Langevin, LangevinInfo, LangevinState
    from ebmcore_langevin.mala import MALA, MALAInfo, MALAState

__all__ = [
    "MALA",
    "DecayingState",
    "Langevin",
    "LangevinInfo",
    "LangevinState",
    "MALAInfo",
    "MALAState",
]

_HOME = {
    "MALA": "mala",
    "DecayingState": "kernels",
    "Langevin": "kernels",
    "LangevinInfo": "kernels",
    "LangevinState": "kernels",
    "MALAInfo": "mala",
    "MALAState": "mala",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
