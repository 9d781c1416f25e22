"""Energies of sequences: `LSTM`, `GRU` and `Transformer`; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_sequence.recurrent import GRU as GRU
    from ebmcore_sequence.recurrent import LSTM as LSTM
    from ebmcore_sequence.transformer import Transformer as Transformer

_HOME = {"GRU": "recurrent", "LSTM": "recurrent", "Transformer": "transformer"}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
