"""Chains that begin at the samples of a network beside the energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Gt, Le
from torch import Generator, Tensor, nn

from ebmcore import Chains, Space, Start, start_chains


class Proposed(Chains):
    """Begin the first chains of a batch at a network's samples, the others where `rest` has them.

    The network has a method `sample(n, generator)`, (n, *event). If it also has `latents(n,
    generator)`, a sample is its `forward` of these, and `latents` of the chains are those of the
    last start, for a loss that trains the network, such as `cooperative`. No gradient reaches
    the network through the chains.

    Without `rest` the energy is fitted to chains of a few steps from these samples: as with
    `noise`, longer chains of the same energy can end elsewhere while the network is far from the
    model. With persistent chains as the rest, the energy learns a density.

    Shapes: x (batch, *event) -> a `Start` with points of the same shape, dtype and device.
    Raises ValueError when there is no such network, or it doesn't sample events of x's shape.

    Args:
        network: Name of the network in the config's section `networks`.
        share: Share of a batch's chains that begin at samples of the network, rounded down, and at
            least one; 1 without `rest`.
        rest: The chains that the others belong to, such as `persistent`.
        networks: (runtime) The networks of the run, by name.
    """

    check_networks: Any = staticmethod(lambda shape: {"proposer": _Scaled(shape)})  # for the kit

    def __init__(
        self,
        networks: Mapping[str, Any],
        *,
        network: str = "proposer",
        share: Annotated[float, Gt(0), Le(1)] = 1.0,
        rest: Chains | None = None,
    ) -> None:
        if network not in networks:
            there = ", ".join(networks) or "none"
            raise ValueError(f"network: there is no network {network!r}; there are: {there}")
        if (rest is None) != (share == 1):
            raise ValueError(
                f"share: should be 1 without `rest` and below 1 with it; got {share} "
                f"{'without' if rest is None else 'with'} rest"
            )
        self.network = networks[network]
        if not callable(getattr(self.network, "sample", None)):
            kind = type(self.network).__name__
            raise ValueError(f"network: {network!r}, {kind}, has no method `sample(n, generator)`")
        self.share_of_batch = share
        self.rest = rest
        self.begins_at_data = rest is not None and getattr(rest, "begins_at_data", True)
        self._proposed = 0  # of the last start's chains
        self.latents: Tensor | None = None  # (proposed, latent), of the last start

    def start(
        self,
        x: Tensor,
        generator: Generator | None = None,
        y: Tensor | None = None,
        mask: Tensor | None = None,
        space: Space | None = None,
    ) -> Start:
        """Draw samples of the network, and take the other chains from the rest."""
        n = max(1, int(self.share_of_batch * len(x)))
        y_here, mask_here = (None if t is None else t[:n] for t in (y, mask))
        begin = Start(self._samples(x[:n], generator), y_here, mask=mask_here)
        self._proposed = n
        if self.rest is None or n == len(x):
            return begin
        y, mask = (None if t is None else t[n:] for t in (y, mask))
        rest = start_chains(self.rest, x[n:], generator=generator, y=y, mask=mask, space=space)
        return _joined(begin, rest)

    def keep(self, end: Start) -> None:
        """Hand the other chains, `rest`, the ends of their own."""
        if self.rest is not None and self._proposed < len(end.x):
            self.rest.keep(_from(end, self._proposed))

    def kept(self) -> Start | None:
        """Return the chains that the rest remembers."""
        return None if self.rest is None else self.rest.kept()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the rest."""
        return {} if self.rest is None else self.rest.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the rest."""
        if self.rest is not None:
            self.rest.load_state_dict(state)

    def share(self, rank: int, ranks: int) -> None:
        """Reduce the rest to one rank's share."""
        if self.rest is not None:
            self.rest.share(rank, ranks)

    def deal(self, states: Sequence[Mapping[str, Any]], rank: int, ranks: int) -> None:
        """Restore one rank's share of the rest."""
        if self.rest is not None:
            self.rest.deal(states, rank, ranks)

    def _samples(self, x: Tensor, generator: Generator | None) -> Tensor:
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


def _joined(new: Start, old: Start) -> Start:
    """Return new chains, which carry nothing, and old ones, in one batch."""
    n, fresh = len(new.x), old.fresh
    if fresh is None:
        fresh = old.x.new_full((len(old.x),), not old.carried, dtype=torch.bool)
    y, mask = (
        None if one is None or two is None else torch.cat([one, two])
        for one, two in zip(new.conditions, old.conditions, strict=True)
    )
    carried = {
        name: torch.cat([value.new_zeros((n, *value.shape[1:])), value])
        for name, value in old.carried.items()
    }
    return Start(torch.cat([new.x, old.x]), y, carried, torch.cat([fresh.new_ones(n), fresh]), mask)


def _from(end: Start, n: int) -> Start:
    """Return the chains from number n on."""
    y, fresh, mask = (None if t is None else t[n:] for t in (end.y, end.fresh, end.mask))
    carried = {name: value[n:] for name, value in end.carried.items()}
    return Start(end.x[n:], y, carried, fresh, mask)


class _Scaled(nn.Module):
    """A network for the conformance kit: twice its latents."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.scale = nn.Parameter(torch.tensor(2.0))

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
