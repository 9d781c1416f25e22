"""Gathers a batch from all ranks, for losses that compare its events with each other."""

from __future__ import annotations

import torch
from torch import Tensor

from ebmcore.errors import GraphError, RankError


def whole_batch(x: Tensor) -> Tensor:
    """Return the events of all ranks' shares of a batch, rank 0's first; alone, x itself.

    A loss that is a mean over its events doesn't need it: the mean over equal shares is the mean
    over the batch. A loss that compares events with each other does, such as an entropy by nearest
    neighbours: computed from the whole batch on every rank, its value is that of one process, and
    so is the gradient that the ranks average.

    Shapes: x (share, *event) -> (batch, *event). The gradient goes to this rank's events, times the
    number of ranks, by which the average divides; it may be differentiated again. Every rank must
    call it equally often, with equally many events. Raises RankError when another rank has exited.
    """
    dist = torch.distributed
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    if torch.compiler.is_compiling():
        raise GraphError("it exchanges events between ranks, which a graph can't")
    own = x.detach().contiguous()
    rows = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    try:
        dist.all_gather(rows, own)
    except RuntimeError as error:
        raise RankError(f"can't gather the other ranks' events: {error}") from error
    # x - x is 0 exactly, so the value is x's own, and the gradient is scaled
    rows[dist.get_rank()] = own + len(rows) * (x - own)
    return torch.cat(rows)
