"""log Z of an energy of discrete events: log Σ exp(-E(x)) over all of them, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ebmcore import Space
from ebmcore_monitors.likelihood.density import log_prob_of
from ebmcore_monitors.points.chunks import chunk_for, evaluate

MOST = 2**20  # events, at most
ESTIMATED = (
    "Set `estimate: log_z`, which estimates it with a bracket (pip install ebmcore-estimators), or "
    "remove the monitor"
)


class Enumeration(NamedTuple):
    """An energy, and the data's probabilities if they are known, at every event."""

    energy: Tensor  # (events,), float64, nats
    log_p: Tensor | None  # (events,), float64, nats
    log_z: float  # nats

    @property
    def log_z_error(self) -> float:
        """None: the sum is exact."""
        return 0.0

    @property
    def may_miss(self) -> str:
        """Nothing: a sum over all events misses no mass."""
        return ""

    @property
    def log_q(self) -> Tensor:
        """The model's log probability of each event."""
        return -self.energy - self.log_z

    @property
    def mass(self) -> float | None:
        """The sum of the data's probabilities, which should be 1."""
        return None if self.log_p is None else float(self.log_p.exp().sum())

    def expectation(self, value: Tensor) -> float:
        """Return Σ p(x) value(x), p the data's law; the value is ignored where p is 0."""
        if self.log_p is None:
            raise ValueError("an expectation under the data needs the data's log_prob")
        p = self.log_p.exp()
        return float(torch.where(p > 0, p * value, 0.0).sum())


def sizes_of(event_shape: Sequence[int], space: Space) -> tuple[int, ...]:
    """Return how many values each number of an event takes.

    Raises ValueError when there are infinitely many, or more than 2^20 events in all.
    """
    sizes = space.sizes(event_shape)
    if sizes is None:
        raise ValueError(
            f"exact_likelihood adds up all events or integrates over real ones; {space} events are "
            "neither. Remove the monitor"
        )
    if math.prod(sizes) > MOST:
        raise ValueError(
            f"exact_likelihood adds up at most {MOST:,} events; there are "
            f"2^{math.log2(math.prod(sizes)):.4g} {space} ones of shape {tuple(event_shape)}. "
            f"{ESTIMATED}"
        )
    return sizes


def enumerate_events(
    energy: Callable[[Tensor], Tensor], dataset: Any, like: Tensor, space: Space
) -> Enumeration:
    """Evaluate an energy, and a dataset's log_prob if it has one, at every event.

    Shapes: like (n, *event), of the dtype and device that the energy takes.
    """
    sizes = sizes_of(like.shape[1:], space)
    values = evaluate(energy, _events(sizes, like))
    log_prob = log_prob_of(dataset)
    log_p = None if log_prob is None else evaluate(log_prob, _events(sizes, like.cpu().double()))
    return Enumeration(values, log_p, float(torch.logsumexp(-values, 0)))


def events_like(like: Tensor, space: Space) -> Iterator[Tensor]:
    """Yield all events of a space in pieces, in the order of `Enumeration`: (piece, *event)."""
    return _events(sizes_of(like.shape[1:], space), like)


def _events(sizes: tuple[int, ...], like: Tensor) -> Iterator[Tensor]:
    """Yield all events in pieces, the last number fastest: (piece, *event)."""
    strides = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    radix = torch.tensor(sizes, device=like.device)
    stride = torch.tensor(strides, device=like.device)
    step = max(256, chunk_for(like) // max(1, len(sizes) // 16))
    for first in range(0, math.prod(sizes), step):
        last = min(first + step, math.prod(sizes))
        numbers = torch.arange(first, last, device=like.device)
        digits = numbers[:, None] // stride % radix
        yield digits.to(like.dtype).reshape(-1, *like.shape[1:])
