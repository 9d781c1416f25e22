"""Sums and draws over all events of a space of few: log Z, and exact samples."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from ebmcore import Energy

MOST_EVENTS = 2**20
_AT_ONCE = 2**12  # events


def digits(numbers: Tensor, k: int, width: int) -> Tensor:
    """Return the digits of whole numbers in base k, the lowest first, (n,) -> (n, width) int64."""
    places = k ** torch.arange(width, device=numbers.device)
    return numbers[:, None] // places % k


def all_events(k: int, event_shape: tuple[int, ...], like: Tensor, whose: str) -> Iterator[Tensor]:
    """Yield all events of k values a number, in pieces (n, *event) of `like`'s type and device.

    Raises ValueError, at once, when there are more than 2^20.
    """
    width = math.prod(event_shape)
    if width * math.log(k) > math.log(MOST_EVENTS) + 1e-9:
        raise ValueError(
            f"{whose} adds up all events, at most {MOST_EVENTS:,}; with {width} numbers of {k} "
            f"values there are {k}^{width}"
        )
    return _pieces(k, event_shape, like)


def _pieces(k: int, event_shape: tuple[int, ...], like: Tensor) -> Iterator[Tensor]:
    width = math.prod(event_shape)
    for first in range(0, k**width, _AT_ONCE):
        last = min(first + _AT_ONCE, k**width)
        numbers = torch.arange(first, last, device=like.device)
        yield digits(numbers, k, width).reshape(-1, *event_shape).to(like.dtype)


def log_sum(energy: Energy, events: Iterator[Tensor]) -> Tensor:
    """Return log Σ exp(-E) over the events, (), float64, with the graph of the parameters."""
    parts = [torch.logsumexp(-energy(x).double(), 0) for x in events]
    return torch.logsumexp(torch.stack(parts), 0)


@torch.no_grad()
def draw(energy: Energy, events: Iterator[Tensor], n: int, generator: Generator | None) -> Tensor:
    """Draw n of the events from exp(-E)/Z, (n, *event): by the inverse of its cumulative sum."""
    pieces = list(events)
    logits = torch.cat([-energy(x).double() for x in pieces])
    ends = logits.softmax(0).cumsum(0)
    uniform = torch.rand(n, generator=generator, device=ends.device, dtype=torch.float64)
    place = torch.searchsorted(ends, uniform * ends[-1], right=True).clamp(max=len(ends) - 1)
    return torch.cat(pieces)[place]
