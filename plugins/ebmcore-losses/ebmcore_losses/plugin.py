"""What this distribution offers."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_losses() -> dict[str, str]:
    """Offer losses and regularisers."""
    return {
        "contrastive_divergence": "ebmcore_losses.contrastive:contrastive_divergence",
        "denoising_score_matching": "ebmcore_losses.denoising:DenoisingScoreMatching",
        "energy_magnitude": "ebmcore_losses.regularisers:energy_magnitude",
        "l2_parameters": "ebmcore_losses.regularisers:l2_parameters",
    }
