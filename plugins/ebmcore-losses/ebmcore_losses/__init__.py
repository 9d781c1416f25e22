"""Losses and regularisers for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_losses.contrastive import contrastive_divergence
    from ebmcore_losses.denoising import DenoisingScoreMatching
    from ebmcore_losses.discrepancy import energy_discrepancy
    from ebmcore_losses.exact import score_matching
    from ebmcore_losses.improved import ImprovedCD
    from ebmcore_losses.noise_contrastive import NoiseContrastive
    from ebmcore_losses.regularisers import energy_magnitude, l2_parameters
    from ebmcore_losses.sliced import sliced_score_matching
    from ebmcore_losses.steepness import gradient_penalty, noise_smoothness

__all__ = [
    "DenoisingScoreMatching",
    "ImprovedCD",
    "NoiseContrastive",
    "contrastive_divergence",
    "energy_discrepancy",
    "energy_magnitude",
    "gradient_penalty",
    "l2_parameters",
    "noise_smoothness",
    "score_matching",
    "sliced_score_matching",
]

_HOME = {
    "DenoisingScoreMatching": "denoising",
    "ImprovedCD": "improved",
    "NoiseContrastive": "noise_contrastive",
    "contrastive_divergence": "contrastive",
    "energy_discrepancy": "discrepancy",
    "energy_magnitude": "regularisers",
    "gradient_penalty": "steepness",
    "l2_parameters": "regularisers",
    "noise_smoothness": "steepness",
    "score_matching": "exact",
    "sliced_score_matching": "sliced",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
