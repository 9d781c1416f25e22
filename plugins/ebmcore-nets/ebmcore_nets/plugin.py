"""The hooks of this distribution, which offer its energies and generator to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_energies() -> dict[str, str]:
    """Offer the energies."""
    return {
        "conv": "ebmcore_nets.conv:Conv",
        "mlp": "ebmcore_nets.mlp:MLP",
        "resnet": "ebmcore_nets.resnet:ResNet",
    }


@hookimpl
def ebmcore_networks() -> dict[str, str]:
    """Offer the networks that stand beside an energy."""
    return {"generator": "ebmcore_nets.generator:MLPGenerator"}
