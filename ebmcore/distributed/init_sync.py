"""How ranks begin: with the same weights, on the same data, each with its share of the chains."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ebmcore.contracts import Chains
from ebmcore.distributed.comm import Ranks
from ebmcore.distributed.rank import Place
from ebmcore.errors import RankError

_ROWS = 1000  # of the data that are compared, evenly spread


def share_out(chains: Chains, label: str, place: Place) -> list[str]:
    """Let chains be one rank's share of themselves; return what there is to warn of.

    Raises ValueError when there are no equal shares.
    """
    chains.share(place.rank, place.size)
    if type(chains).kept is Chains.kept or type(chains).share is not Chains.share:
        return []
    return [
        f"{label} can't be shared out (they have no `share`), so each of the {place.size} ranks "
        "keeps as many chains as one process would"
    ]


def begin_alike(ranks: Ranks, x: Tensor, modules: Iterable[nn.Module]) -> None:
    """Give every rank the weights and buffers of rank 0, and check that all have the same data x.

    Those of a config are the same already; those of a script may not be. Raises RankError when the
    data differ.
    """
    if ranks.size == 1:
        return
    digests = ranks.texts(f"{tuple(x.shape)} {_digest(x)}")
    others = [rank for rank, digest in enumerate(digests) if digest != digests[0]]
    if others:
        raise RankError(
            f"rank {others[0]} has other data than rank 0; each rank takes its share of one set of "
            "data, so all must read, or draw from one seed, the same"
        )
    held = (t for m in modules for t in (*m.parameters(), *m.buffers()))
    ranks.from_first_(list(dict.fromkeys(held)))


def _digest(x: Tensor) -> str:
    """Return a hash of some of the data's rows, and of the last."""
    some = torch.cat([x[:: max(1, len(x) // _ROWS)], x[-1:]])
    return hashlib.sha256(some.cpu().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()
