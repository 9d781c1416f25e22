"""The hooks of this distribution, which offer its losses to ebmcore."""

from ebmcore import hookimpl

_DISCRETE = "ebmcore_losses.discrete"


@hookimpl
def ebmcore_losses() -> dict[str, str]:
    """Offer losses and regularisers."""
    return {
        "concrete_score_matching": f"{_DISCRETE}.concrete_scores:ConcreteScoreMatching",
        "contrastive_divergence": "ebmcore_losses.contrastive:contrastive_divergence",
        "cooperative": "ebmcore_losses.cooperative:Cooperative",
        "cross_entropy": "ebmcore_losses.classification:cross_entropy",
        "denoising_score_matching": "ebmcore_losses.denoising:DenoisingScoreMatching",
        "discrete_energy_discrepancy": f"{_DISCRETE}.discrepancy:DiscreteEnergyDiscrepancy",
        "energy_discrepancy": "ebmcore_losses.discrepancy:energy_discrepancy",
        "energy_magnitude": "ebmcore_losses.regularisers:energy_magnitude",
        "gradient_penalty": "ebmcore_losses.steepness:gradient_penalty",
        "improved_cd": "ebmcore_losses.improved:ImprovedCD",
        "l1_parameters": "ebmcore_losses.regularisers:l1_parameters",
        "l2_parameters": "ebmcore_losses.regularisers:l2_parameters",
        "multilevel_denoising": "ebmcore_losses.denoising:multilevel_denoising",
        "noise_contrastive": "ebmcore_losses.noise_contrastive:NoiseContrastive",
        "noise_smoothness": "ebmcore_losses.steepness:noise_smoothness",
        "pseudo_likelihood": f"{_DISCRETE}.pseudo_likelihood:PseudoLikelihood",
        "ratio_matching": f"{_DISCRETE}.ratio_matching:RatioMatching",
        "score_matching": "ebmcore_losses.exact:score_matching",
        "sliced_score_matching": "ebmcore_losses.sliced:sliced_score_matching",
    }
