"""What monitors on rank 0 see of the other ranks: the last step's events and all chains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from ebmcore.contracts import Chains
from ebmcore.distributed.comm import Ranks
from ebmcore.train.step import Stepped


class AllChains(Chains):
    """The chains of all ranks, to look at and to draw from; moving them moves no rank's own."""

    def __init__(self, own: Chains, everywhere: Tensor) -> None:
        self.own = own
        self.everywhere = everywhere  # (all ranks' chains, *event)

    def start(self, x: Tensor, generator: Generator | None) -> Tensor:
        """Begin as one rank's chains do."""
        return self.own.start(x, generator)

    def kept(self) -> Tensor:
        """Return all chains."""
        return self.everywhere.clone()


def gathered(
    ranks: Ranks, last: Stepped | None, chains: Chains | None
) -> tuple[Stepped | None, Chains | None]:
    """Return on rank 0 the last step and the chains of all ranks, its own first.

    Every rank must ask; the others get back what they gave. Metrics are the rank's own.
    """
    if ranks.size == 1:
        return last, chains
    kept = None if chains is None else chains.kept()
    if chains is not None and kept is not None:
        chains = AllChains(chains, _all(ranks, kept))
    if last is None:
        return last, chains
    x_neg = None if last.x_neg is None else _all(ranks, last.x_neg)
    return Stepped(_all(ranks, last.x), x_neg, _each(ranks, last.info), last.metrics), chains


def _each(ranks: Ranks, info: Any) -> Any:
    """Gather the fields of a sampler's info that have a value for each chain."""
    if not hasattr(info, "_replace"):
        return info
    fields = {
        name: _all(ranks, value)
        for name, value in info._asdict().items()
        if isinstance(value, Tensor) and value.ndim
    }
    return info._replace(**fields)


def _all(ranks: Ranks, tensor: Tensor) -> Tensor:
    found = ranks.rows_at_first(tensor.detach())
    return torch.cat(found) if found else tensor
