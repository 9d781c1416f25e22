"""Gives ranks the same weights, checks that they have the same data, and divides the chains."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ebmcore.contracts import Chains
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import RankError

_ROWS = 1000  # of the data, evenly spread, are compared


def keep_own_share(chains: Chains, label: str, rank_info: RankInfo) -> list[str]:
    """Reduce chains to this rank's share; return warnings.

    Raises ValueError when the chains can't be divided equally.
    """
    chains.share(rank_info.rank, rank_info.size)
    if type(chains).kept is Chains.kept or type(chains).share is not Chains.share:
        return []
    return [
        f"{label} can't be divided over the ranks (they have no `share`), so each of the "
        f"{rank_info.size} ranks keeps as many chains as a single process"
    ]


def sync_initial_state(ranks: Ranks, x: Tensor, modules: Iterable[nn.Module]) -> None:
    """Copy rank 0's weights and buffers to every rank, and check that all have the same data x.

    A config gives every rank the same weights; a script may not. Raises RankError when the data
    differ.
    """
    if ranks.size == 1:
        return
    digests = ranks.all_gather_text(f"{tuple(x.shape)} {_digest(x)}")
    others = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
    if others:
        raise RankError(
            f"rank {others[0]} has other data than rank 0; each rank trains on its share of one "
            "data set, so all ranks must read the same data, or draw them from one seed"
        )
    tensors = (t for m in modules for t in (*m.parameters(), *m.buffers()))
    ranks.broadcast_(list(dict.fromkeys(tensors)))


def _digest(x: Tensor) -> str:
    """Return a hash of evenly spread rows of the data and of the last row."""
    some = torch.cat([x[:: max(1, len(x) // _ROWS)], x[-1:]])
    return hashlib.sha256(some.cpu().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()
