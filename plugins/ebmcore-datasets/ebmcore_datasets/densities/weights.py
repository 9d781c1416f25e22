"""Relative weights of a mixture's parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def shares(weights: Sequence[float] | None, count: int, parts: str) -> Tensor:
    """Return weights that sum to 1, (count,), float64; equal ones for None.

    Raises ValueError, which names the `parts`, when there are more or fewer weights than `count` or
    one is not positive.
    """
    if weights is None:
        weights = [1.0] * count
    if len(weights) != count:
        raise ValueError(
            f"weights should have one number for each of {count} {parts}; got {len(weights)}"
        )
    if not all(weight > 0 for weight in weights):
        raise ValueError(f"weights should be positive; got {list(weights)}")
    relative = torch.tensor(list(weights), dtype=torch.float64)
    return relative / relative.sum()
