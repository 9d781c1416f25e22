"""Chains that begin at the samples of a network beside the energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore import Chains


class Proposed(Chains):
    """Begin at a network's samples each time and keep nothing: the sampler revises proposals.

    The network has a method `sample(n, generator)`, (n, *event). If it also has `latents(n,
    generator)`, a sample is its `forward` of these, and `latents` of the chains are those of the
    last start, for a loss that trains the network, such as `cooperative`. No gradient reaches
    the network through the chains.

    Training fits the energy to chains of that many steps from these samples: as with `noise`,
    longer chains of the same energy can end elsewhere while the network is far from the model.

    Shapes: x (batch, *event) -> starting points of the same shape, dtype and device.
    Raises ValueError when there is no such network, or it doesn't sample events of x's shape.

    Args:
        network: Name of the network in the config's section `networks`.
        networks: (runtime) The networks of the run, by name.
    """

    check_networks: Any = staticmethod(lambda shape: {"proposer": _Scaled(shape)})  # for the kit

    def __init__(self, networks: Mapping[str, Any], *, network: str = "proposer") -> None:
        if network not in networks:
            there = ", ".join(networks) or "none"
            raise ValueError(f"network: there is no network {network!r}; there are: {there}")
        self.network = networks[network]
        if not callable(getattr(self.network, "sample", None)):
            kind = type(self.network).__name__
            raise ValueError(f"network: {network!r}, {kind}, has no method `sample(n, generator)`")
        self.latents: Tensor | None = None  # (batch, latent), of the last start

    def start(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """Draw as many samples of the network as x has events."""
        with torch.no_grad():
            if hasattr(self.network, "latents"):
                self.latents = self.network.latents(len(x), generator)
                begin: Tensor = self.network(self.latents)
            else:
                begin = self.network.sample(len(x), generator)
        if begin.shape != x.shape:
            raise ValueError(
                f"the network's samples have shape {tuple(begin.shape)}; the batch of data has "
                f"{tuple(x.shape)}"
            )
        return begin.to(x)


class _Scaled(torch.nn.Module):
    """A network for the conformance kit: twice its latents."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.scale = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, z: Tensor) -> Tensor:
        """Return the event of each z."""
        return self.scale.to(z) * z

    def latents(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n times z."""
        return torch.randn((n, *self.shape), generator=generator)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """Draw n events."""
        events: Tensor = self(self.latents(n, generator))
        return events
