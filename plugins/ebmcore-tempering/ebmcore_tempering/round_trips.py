"""Round trips: a replica that was the coldest, then the hottest, and is the coldest again.

Each carries new places down to x; their number is that of the independent restarts that x has had.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NOT_YET, GOES_UP, GOES_DOWN = 0, 1, 2  # since it was the coldest: never, not yet hottest, hottest


class Trips(NamedTuple):
    """The phases of replicas, and how many of them complete a round trip."""

    phase: Tensor  # (chains, replicas), integer
    completed: Tensor  # (chains,), integer, 0 or 1


def begun(like: Tensor, replicas: int) -> Tensor:
    """Return the phases of replicas that begin, (chains, replicas): the coldest is there."""
    level = torch.arange(replicas, device=like.device)
    return torch.where(level == 0, GOES_UP, NOT_YET).expand(len(like), replicas)


def moved(phase: Tensor, source: Tensor) -> Trips:
    """Return the phases after a swap, whose `source` says which replica each temperature gets."""
    phase = phase.gather(1, source)
    completed = (phase[:, 0] == GOES_DOWN).long()
    top = torch.where(phase[:, -1:] == GOES_UP, GOES_DOWN, phase[:, -1:])
    bottom = torch.full_like(phase[:, :1], GOES_UP)
    return Trips(torch.cat([bottom, phase[:, 1:-1], top], 1), completed)
