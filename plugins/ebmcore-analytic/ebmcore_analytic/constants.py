"""Validation of an energy's constants: each error names the constant and the value found."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def positive(name: str, value: float) -> float:
    """Return the number. Raises ValueError when it is not positive and finite."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} should be positive; got {value}")
    return value


def log_of(name: str, value: float) -> Tensor:
    """Return the log of a positive number, as a tensor of shape ()."""
    return torch.tensor(math.log(positive(name, value)))


def for_each(name: str, value: float | Sequence[float], features: int) -> list[float]:
    """Return one number for each coordinate. Raises ValueError when there are fewer or more."""
    if isinstance(value, (int, float)):
        return [float(value)] * features
    if len(value) != features:
        raise ValueError(
            f"{name} should be one number, or {features}, one for each coordinate of the "
            f"flattened event; got {len(value)}"
        )
    return [float(number) for number in value]
