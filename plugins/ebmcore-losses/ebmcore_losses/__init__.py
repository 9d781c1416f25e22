"""Losses and regularisers for ebmcore, loaded when they are first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_losses.contrastive import contrastive_divergence
    from ebmcore_losses.denoising import DenoisingScoreMatching
    from ebmcore_losses.regularisers import energy_magnitude, l2_parameters

__all__ = [
    "DenoisingScoreMatching",
    "contrastive_divergence",
    "energy_magnitude",
    "l2_parameters",
]

_HOME = {
    "DenoisingScoreMatching": "denoising",
    "contrastive_divergence": "contrastive",
    "energy_magnitude": "regularisers",
    "l2_parameters": "regularisers",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
