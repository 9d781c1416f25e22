"""Energies that are plain networks: `MLP`, `Conv` and `ResNet`; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_nets.conv import Conv
    from ebmcore_nets.mlp import MLP
    from ebmcore_nets.resnet import ResNet

__all__ = ["MLP", "Conv", "ResNet"]

_HOME = {"Conv": "conv", "MLP": "mlp", "ResNet": "resnet"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
