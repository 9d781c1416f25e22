"""The neighbours of an event, which differ from it in one number, and their energies."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ebmcore import Categorical, Energy, Space, conditioned, replicated

_AT_ONCE = 2**14  # events of one call of the energy


def number_of_values(name: str, space: Space | None, x: Tensor) -> int:
    """Return how many values a number takes. Raises ValueError for categories without a space."""
    if isinstance(space, Categorical):
        return space.k
    if not x.is_floating_point():
        raise ValueError(
            f"{name} on categories needs to know how many there are: give it "
            "space=ebmcore.Categorical(k)"
        )
    return 2


def some_sites(x: Tensor, sites: int | None, generator: Generator | None) -> tuple[Tensor, float]:
    """Return which numbers to change, (batch, sites) int64, and a factor to make up for others.

    All of them, or for each event as many as `sites`, chosen at random, each at most once.
    """
    numbers = x[0].numel()
    if sites is None or sites >= numbers:
        return torch.arange(numbers, device=x.device).expand(len(x), -1), 1.0
    keys = torch.rand((len(x), numbers), generator=generator, device=x.device)
    return keys.topk(sites, dim=1).indices, numbers / sites


def neighbours(x: Tensor, k: int, sites: Tensor) -> Tensor:
    """Return the events with another value at each site, (batch, sites, k - 1, numbers).

    Shapes: x (batch, *event), sites (batch, sites). The other values come in the order in which one
    counts on from the event's own, and from k - 1 to 0.
    """
    flat = x.flatten(1)
    on = torch.arange(1, k, device=x.device)
    values = (flat.gather(1, sites)[:, :, None] + on) % k
    shape = (*values.shape, flat.shape[1])
    return (
        flat[:, None, None]
        .expand(shape)
        .scatter(3, sites[:, :, None, None].expand(*values.shape, 1), values[..., None].to(x.dtype))
    )


def differences(energy: Energy, x: Tensor, others: Tensor, y: Tensor | None) -> Tensor:
    """Return E(x) - E(x') of each event's neighbours x', (batch, …, numbers) -> (batch, …).

    The energy is called with at most 2^14 events at a time, or the neighbours of one.
    """
    each = others[0, ..., 0].numel()
    rows = max(1, _AT_ONCE // each)
    parts = []
    for first in range(0, len(x), rows):
        some = slice(first, first + rows)
        of = conditioned(energy, y=None if y is None else y[some])
        beside = replicated(of, each)(others[some].reshape(-1, *x.shape[1:]))
        parts.append(of(x[some])[:, None] - beside.reshape(-1, each))
    return torch.cat(parts).reshape(others.shape[:-1])
