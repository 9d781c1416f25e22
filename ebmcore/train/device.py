"""The device of this rank, from the config's `device`."""

from __future__ import annotations

import torch

from ebmcore.distributed.rank import RankInfo
from ebmcore.errors import ConfigError, Problem


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device of a name, or of `auto`. Raises ConfigError when it can't be used."""
    rank_info = RankInfo.from_environment()
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
