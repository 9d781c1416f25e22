"""Gathers the events and the chains of all ranks on rank 0, which runs the monitors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.contracts import Chains, Start
from ebmcore.distributed.comm import Ranks


class AllChains(Chains):
    """A copy of the chains of all ranks, for monitors; a rank's own chains don't change with it."""

    def __init__(self, own: Chains, gathered: Start) -> None:
        self.own = own
        self.gathered = gathered
        self.begins_at_data = getattr(own, "begins_at_data", True)

    def start(self, x: Tensor, generator: Generator | None) -> Tensor | Start:
        """Return the start points of one rank's chains."""
        return self.own.start(x, generator=generator)

    def kept(self) -> Start:
        """Return all chains."""
        return self.gathered


def all_chains(ranks: Ranks, chains: Chains | None) -> Chains | None:
    """Return on rank 0 the chains of all ranks; chains that keep no state are returned as given."""
    kept = None if chains is None else chains.kept()
    if chains is None or kept is None:
        return chains
    carried = sorted(kept.carried.items())  # resumed ranks have them in the order of their files
    beside = {name: all_rows(ranks, value) for name, value in carried}
    y, fresh, mask = (
        None if t is None else all_rows(ranks, t) for t in (kept.y, kept.fresh, kept.mask)
    )
    return AllChains(chains, Start(all_rows(ranks, kept.x), y, beside, fresh, mask))


def all_rows(ranks: Ranks, tensor: Tensor) -> Tensor:
    """Return on rank 0 the rows of all ranks, (sum of rows, ...), its own first."""
    if tensor.dtype == torch.bool:  # gloo and NCCL have none
        return all_rows(ranks, tensor.to(torch.uint8)).to(torch.bool)
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
