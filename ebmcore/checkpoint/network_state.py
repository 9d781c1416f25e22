"""The networks of a run in a checkpoint: a file for the weights of each, one for their average."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ebmcore.checkpoint.files import Checkpoint, fitting

if TYPE_CHECKING:
    from ebmcore.train.loop import Loop


def weights_file(name: str) -> str:
    """Return the key of a network's weights; a name is an identifier, so no two are the same."""
    return f"network-{name}"


def average_file(name: str) -> str:
    """Return the key of a network's averaged weights."""
    return f"network-{name}-ema"


def network_tensors(loop: Loop) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of all networks, by their file."""
    averages = loop.train_step.averaged_networks
    return {
        **{weights_file(name): n.state_dict() for name, n in loop.parts.networks.items()},
        **{average_file(name): a.module.state_dict() for name, a in averages.items()},
    }


def restore_networks(checkpoint: Checkpoint, loop: Loop) -> None:
    """Restore the networks and their averages. Raises EbmError when they don't fit."""
    for name, network in loop.parts.networks.items():
        with fitting(checkpoint, f"network {name!r}"):
            network.load_state_dict(checkpoint.tensors(weights_file(name)))
    for name, average in loop.train_step.averaged_networks.items():
        with fitting(checkpoint, f"the averaged weights of network {name!r} (train.ema)"):
            average.module.load_state_dict(checkpoint.tensors(average_file(name)))
            if loop.averaged is not None:  # restored before
                average.n_averaged.copy_(loop.averaged.n_averaged)


def averaged_or_weights(checkpoint: Checkpoint, name: str) -> dict[str, Tensor]:
    """Return the weights that monitors and samples use: the average, if the run keeps one."""
    return checkpoint.tensors(average_file(name)) or checkpoint.tensors(weights_file(name))
