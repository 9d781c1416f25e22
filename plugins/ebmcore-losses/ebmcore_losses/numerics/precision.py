"""The widest floating point that a device has."""

from __future__ import annotations

import torch


def widest(device: torch.device) -> torch.dtype:
    """Return float64, but float32 on devices without it."""
    return torch.float32 if device.type == "mps" else torch.float64
