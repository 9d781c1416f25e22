"""Energies of sequences: `LSTM`, `GRU` and `Transformer`; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_sequence.recurrent import GRU, LSTM
    from ebmcore_sequence.transformer import Transformer

__all__ = ["GRU", "LSTM", "Transformer"]

_HOME = {"GRU": "recurrent", "LSTM": "recurrent", "Transformer": "transformer"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
