"""Cooperative learning: a generator learns from the samples that the energy's chains revise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebmcore import Chains, PositiveFloat


class Cooperative:
    """Mean ‖g(z) - x⁻‖² / (2σ²): g learns where the chains that it proposed at g(z) ended.

    The maximum likelihood of x⁻ ~ N(g(z), σ²I) with the latents z held where they were drawn. It
    trains the generator g alone; beside it, a loss of the samples x⁻, such as
    `contrastive_divergence`, trains the energy. g learns the mean of x⁻ for each z, so its samples
    are somewhat narrower than the model's. The value is no likelihood: near 0 it only shows that
    the sampler's steps move the chains little.

    Shapes: x_neg (batch, *event) -> (), in nats, not negative. x_neg is held constant; the mean is
    over the chains that g proposed, the first of the batch. Raises ValueError when the chains don't
    remember latents, as `chains: proposed` do.
    Source: Xie, Lu, Gao, Zhu and Wu 2018, "Cooperative training of descriptor and generator
    networks"; here without Langevin steps that revise z as well.

    Args:
        network: Name of the generator in the config's section `networks`.
        sigma: σ, in units of x.
    """

    # for the conformance kit: a network beside the energy, and chains that remember latents
    check_networks: Any = staticmethod(lambda shape: {"proposer": _Shifted(shape)})
    check_chains: Any = staticmethod(lambda x: _Latents(0.5 * x))

    def __init__(self, *, network: str = "proposer", sigma: PositiveFloat = 0.3) -> None:
        self.network = network
        self.trains = network  # the runner reads it
        self.sigma = sigma

    def __call__(self, networks: Mapping[str, Any], x_neg: Tensor, chains: Chains) -> Tensor:
        """Return the loss of a batch."""
        latents = getattr(chains, "latents", None)
        if not isinstance(latents, Tensor):
            raise ValueError(
                "the chains remember no latents; take `chains: {type: proposed}` and a network "
                "with a method `latents`, such as `generator`"
            )
        ends = x_neg[: len(latents)]  # the chains that were proposed come first
        distance: Tensor = networks[self.network](latents) - ends.detach()
        return distance.square().flatten(1).sum(1).mean() / (2 * self.sigma**2)


class _Shifted(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.full(shape, 0.25, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.shift


class _Latents(NamedTuple):
    latents: Tensor
