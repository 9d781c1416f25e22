"""The first-party distribution of each component and command, to name the one to install.

Used in messages alone: it imports and selects nothing. A test compares it with `plugins/`.
"""

_OFFERS: dict[str, dict[str, str]] = {
    "ebmcore-analytic": {
        "energy": "ackley double_well funnel gaussian gaussian_mixture many_well mixture negated "
        "product rastrigin ring rosenbrock sum tempered"
    },
    "ebmcore-callbacks": {"callback": "early_stopping notify stop_file"},
    "ebmcore-chains": {"chains": "noise data persistent proposed"},
    "ebmcore-datasets": {
        "dataset": "binary_digits checkerboard digits eight_gaussians file gaussian_mixture images "
        "mnist moons pinwheel rings sines time_series two_spirals"
    },
    "ebmcore-discrete": {
        "dataset": "bars gray_code ising_draws",
        "energy": "ising potts rbm",
        "monitor": "couplings features",
        "sampler": "block_gibbs dmala dula gibbs gibbs_with_gradients",
    },
    "ebmcore-estimators": {"monitor": "log_z"},
    "ebmcore-hmc": {"sampler": "hmc nuts"},
    "ebmcore-langevin": {"sampler": "annealed langevin mala svgd underdamped"},
    "ebmcore-losses": {
        "loss": "concrete_score_matching contrastive_divergence cooperative cross_entropy "
        "denoising_score_matching discrete_energy_discrepancy energy_discrepancy energy_magnitude "
        "gradient_penalty improved_cd l1_parameters l2_parameters multilevel_denoising "
        "noise_contrastive noise_smoothness pseudo_likelihood ratio_matching score_matching "
        "sliced_score_matching"
    },
    "ebmcore-monitors": {
        "monitor": "advice classification convergence energies energy_histogram exact_likelihood "
        "fidelity gradients histogram_2d landscape mmd out_of_distribution panels sampler_health "
        "samples two_sample"
    },
    "ebmcore-nets": {
        "energy": "class_conditional classifier conv kernel_density mlp noise_conditional resnet",
        "network": "generator",
    },
    "ebmcore-ray": {"launcher": "ray"},
    "ebmcore-sequence": {"energy": "gru lstm transformer"},
    "ebmcore-slurm": {"launcher": "slurm"},
    "ebmcore-sweep": {"launcher": "local"},
    "ebmcore-tempering": {"sampler": "parallel_tempering"},
    "ebmcore-tensorboard": {"tracker": "tensorboard"},
    "ebmcore-transforms": {
        "transform": "augment dequantise logit min_max one_hot pad rank_gaussian robust_scale "
        "standardise whiten"
    },
}
KNOWN: dict[tuple[str, str], str] = {
    (kind, name): distribution
    for distribution, kinds in _OFFERS.items()
    for kind, names in kinds.items()
    for name in names.split()
}
KNOWN_COMMANDS = {
    "check": "ebmcore-testing",
    "examples": "ebmcore-new",
    "new": "ebmcore-new",
    "plugins doctor": "ebmcore-testing",
    "plugins new": "ebmcore-testing",
    "report": "ebmcore-report",
    "runs compare": "ebmcore-sweep",
    "seeds": "ebmcore-sweep",
    "sweep": "ebmcore-sweep",
}


def distribution_of(kind: str, name: str) -> str | None:
    """Return the first-party distribution that offers a component; None for any other's."""
    return KNOWN.get((kind, name))
