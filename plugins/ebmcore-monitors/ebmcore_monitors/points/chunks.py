"""Evaluate a function at many points, in chunks that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

CHUNK = 65_536  # points of up to two numbers; fewer, in proportion, of larger events
CHUNK_ON_CPU = 2048  # the activations of more points don't fit in a processor's cache
SMALLEST_CHUNK = 256


def split(x: Tensor) -> Iterable[Tensor]:
    """Cut x, (n, *event), into chunks that fit in memory: fewer points of larger events."""
    numbers = x[:1].numel()
    return torch.split(x, max(SMALLEST_CHUNK, 2 * chunk_for(x) // max(2, numbers)))


def chunk_for(x: Tensor) -> int:
    """Return how many points of up to two numbers to evaluate at once on the device of x."""
    return CHUNK_ON_CPU if x.device.type == "cpu" else CHUNK


@torch.no_grad()
def evaluate(function: Callable[[Tensor], Tensor], chunks: Iterable[Tensor]) -> Tensor:
    """Return the function's values, (n,), in float64 on the CPU.

    Raises ValueError when the function returns anything but one value for each point.
    """
    values = []
    for x in chunks:
        value = function(x)
        if value.shape != x.shape[:1]:
            raise ValueError(
                f"one value is needed for each point, shape ({len(x)},); got {tuple(value.shape)}"
            )
        values.append(value.cpu().double())
    return torch.cat(values) if values else torch.empty(0, dtype=torch.float64)


def evaluate_at(function: Callable[[Tensor], Tensor], points: Tensor, like: Tensor) -> Tensor:
    """Return the function's values at points, (n, numbers of an event) -> (n,), as `evaluate` does.

    Shapes: like (m, *event), of the dtype, device and event shape that the function takes.
    """
    return evaluate(
        function,
        (
            x.to(like.dtype).to(like.device).reshape(-1, *like.shape[1:])
            for x in torch.split(points, chunk_for(like))
        ),
    )
