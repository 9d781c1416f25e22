"""The device that a name in a config means, here and on this rank."""

from __future__ import annotations

import torch

from ebmcore.distributed.rank import Place
from ebmcore.errors import ConfigError, Problem


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device that a name means. Raises ConfigError when it isn't there."""
    place = Place.here()
    if device == "auto":
        found = torch.accelerator.current_accelerator(check_available=True)
        device = found or torch.device("cpu")
    try:
        chosen = torch.device(device)
        if place.size > 1 and chosen.type not in ("cpu", "meta"):
            chosen = _own_device(chosen, place)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError([Problem("device", f"{device!r} can't be used: {first}")]) from error
    return chosen


def _own_device(device: torch.device, place: Place) -> torch.device:
    """Return the device of one rank: each has a GPU of its own."""
    if device.type != "cuda" or device.index is not None:
        message = (
            f"{str(device)!r} can't be shared by {place.size} ranks: cuda gives each its own GPU, "
            "cpu its own process"
        )
        raise ConfigError([Problem("device", message)])
    return torch.device("cuda", place.local)
