"""The device and the random streams of this rank, from the config's `device` and `seed`."""

from __future__ import annotations

from typing import NamedTuple, Self

import torch

from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import ConfigError, Problem
from ebmcore.train.rng import Streams


class Placement(NamedTuple):
    """The rank, the device and the random streams of one process of a run."""

    rank_info: RankInfo
    device: torch.device
    streams: Streams

    @classmethod
    def choose(cls, device: str | torch.device, seed: int, rank: RankInfo | None = None) -> Self:
        """Choose the device; read the rank unless it is given. Raises ConfigError as they do."""
        rank = RankInfo.from_environment() if rank is None else rank
        chosen = choose_device(device, rank)
        return cls(rank, chosen, Streams(seed, chosen, rank.rank))


def choose_device(device: str | torch.device, rank_info: RankInfo) -> torch.device:
    """Return the device of a name, or of `auto`. Raises ConfigError when it can't be used."""
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        device = found or torch.device("cpu")
    try:
        chosen = torch.device(device)
        if rank_info.size > 1 and chosen.type not in ("cpu", "meta"):
            chosen = _own_device(chosen, rank_info)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError([Problem("device", f"{device!r} can't be used: {first}")]) from error
    return chosen


def _own_device(device: torch.device, rank_info: RankInfo) -> torch.device:
    """Return the GPU of one rank; each has its own."""
    if device.type != "cuda" or device.index is not None:
        message = (
            f"{str(device)!r} can't be shared by {rank_info.size} ranks: cuda gives each its "
            "own GPU, cpu its own process"
        )
        raise ConfigError([Problem("device", message)])
    return torch.device("cuda", rank_info.local)
