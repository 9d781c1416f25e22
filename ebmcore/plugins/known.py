"""Which first-party distribution offers which component, to name the command that installs it.

Data for a message alone: nothing is imported or chosen by it. A test holds it to `plugins/`.
"""

KNOWN: dict[tuple[str, str], str] = {
    **dict.fromkeys([("energy", "mlp"), ("energy", "conv")], "ebmcore-nets"),
    ("sampler", "langevin"): "ebmcore-langevin",
    **{("chains", name): "ebmcore-chains" for name in ("noise", "data", "persistent")},
    **{
        ("loss", name): "ebmcore-losses"
        for name in (
            "contrastive_divergence",
            "denoising_score_matching",
            "energy_magnitude",
            "l2_parameters",
        )
    },
    **{
        ("monitor", name): "ebmcore-monitors"
        for name in (
            "energies",
            "exact_likelihood",
            "histogram_2d",
            "landscape",
            "panels",
            "samples",
        )
    },
    **{("dataset", name): "ebmcore-datasets" for name in ("digits", "file", "gaussian_mixture")},
}
