"""Losses and regularisers for ebmcore; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_losses.classification import cross_entropy as cross_entropy
    from ebmcore_losses.contrastive import contrastive_divergence as contrastive_divergence
    from ebmcore_losses.cooperative import Cooperative as Cooperative
    from ebmcore_losses.denoising import DenoisingScoreMatching as DenoisingScoreMatching
    from ebmcore_losses.denoising import multilevel_denoising as multilevel_denoising
    from ebmcore_losses.discrepancy import energy_discrepancy as energy_discrepancy
    from ebmcore_losses.discrete.concrete_scores import (
        ConcreteScoreMatching as ConcreteScoreMatching,
    )
    from ebmcore_losses.discrete.discrepancy import (
        DiscreteEnergyDiscrepancy as DiscreteEnergyDiscrepancy,
    )
    from ebmcore_losses.discrete.pseudo_likelihood import PseudoLikelihood as PseudoLikelihood
    from ebmcore_losses.discrete.ratio_matching import RatioMatching as RatioMatching
    from ebmcore_losses.exact import score_matching as score_matching
    from ebmcore_losses.improved import ImprovedCD as ImprovedCD
    from ebmcore_losses.noise_contrastive import NoiseContrastive as NoiseContrastive
    from ebmcore_losses.regularisers import energy_magnitude as energy_magnitude
    from ebmcore_losses.regularisers import l1_parameters as l1_parameters
    from ebmcore_losses.regularisers import l2_parameters as l2_parameters
    from ebmcore_losses.sliced import sliced_score_matching as sliced_score_matching
    from ebmcore_losses.steepness import gradient_penalty as gradient_penalty
    from ebmcore_losses.steepness import noise_smoothness as noise_smoothness

_HOME = {
    "ConcreteScoreMatching": "discrete.concrete_scores",
    "Cooperative": "cooperative",
    "DenoisingScoreMatching": "denoising",
    "DiscreteEnergyDiscrepancy": "discrete.discrepancy",
    "ImprovedCD": "improved",
    "NoiseContrastive": "noise_contrastive",
    "PseudoLikelihood": "discrete.pseudo_likelihood",
    "RatioMatching": "discrete.ratio_matching",
    "contrastive_divergence": "contrastive",
    "cross_entropy": "classification",
    "energy_discrepancy": "discrepancy",
    "energy_magnitude": "regularisers",
    "gradient_penalty": "steepness",
    "l1_parameters": "regularisers",
    "l2_parameters": "regularisers",
    "multilevel_denoising": "denoising",
    "noise_smoothness": "steepness",
    "score_matching": "exact",
    "sliced_score_matching": "sliced",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
