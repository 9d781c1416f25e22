"""The hooks of this distribution, which offer its energies and generator to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_energies() -> dict[str, str]:
    """Offer the energies."""
    return {
        "class_conditional": "ebmcore_nets.class_conditional:ClassConditional",
        "classifier": "ebmcore_nets.classifier:Classifier",
        "conv": "ebmcore_nets.conv:Conv",
        "kernel_density": "ebmcore_nets.kernel_density:KernelDensity",
        "mlp": "ebmcore_nets.mlp:MLP",
        "noise_conditional": "ebmcore_nets.noise_conditional:NoiseConditional",
        "resnet": "ebmcore_nets.resnet:ResNet",
    }


@hookimpl
def ebmcore_networks() -> dict[str, str]:
    """Offer the networks that stand beside an energy."""
    return {"generator": "ebmcore_nets.generator:MLPGenerator"}
