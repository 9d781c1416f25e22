"""Gathers the events and the chains of all ranks on rank 0, which runs the monitors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.contracts import Chains
from ebmcore.distributed.comm import Ranks


class AllChains(Chains):
    """A copy of the chains of all ranks, for monitors; a rank's own chains don't change with it."""

    def __init__(self, own: Chains, gathered: Tensor) -> None:
        self.own = own
        self.gathered = gathered  # (all ranks' chains, *event)

    def start(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Return the start points of one rank's chains."""
        return self.own.start(x, generator)

    def kept(self) -> Tensor:
        """Return all chains."""
        return self.gathered.clone()


def all_chains(ranks: Ranks, chains: Chains | None) -> Chains | None:
    """Return on rank 0 the chains of all ranks; chains that keep no state are returned as given."""
    kept = None if chains is None else chains.kept()
    if chains is None or kept is None:
        return chains
    return AllChains(chains, all_rows(ranks, kept))


def all_rows(ranks: Ranks, tensor: Tensor) -> Tensor:
    """Return on rank 0 the rows of all ranks, (sum of rows, ...), its own first."""
    shares = ranks.gather(tensor.detach())
    return torch.cat(shares) if shares else tensor


def all_info(ranks: Ranks, info: Any) -> Any:
    """Gather the fields of a sampler's info that have a value for each chain."""
    if not hasattr(info, "_replace"):
        return info
    fields = {
        name: all_rows(ranks, value)
        for name, value in info._asdict().items()
        if isinstance(value, Tensor) and value.ndim
    }
    return info._replace(**fields)
