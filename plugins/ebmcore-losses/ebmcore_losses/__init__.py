"""Losses and regularisers for ebmcore."""

from ebmcore_losses.contrastive import contrastive_divergence
from ebmcore_losses.denoising import DenoisingScoreMatching
from ebmcore_losses.regularisers import energy_magnitude, l2_parameters

__all__ = [
    "DenoisingScoreMatching",
    "contrastive_divergence",
    "energy_magnitude",
    "l2_parameters",
]
