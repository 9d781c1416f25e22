"""A random subset of row numbers, each at most once, at a cost that doesn't grow with the rows.

Floyd's algorithm: for k = 0 … b-1 draw t uniform on 0 … m with m = n - b + k; take t, or m if t was
taken before. Each subset of b of n numbers is as likely as any other. Here all t are drawn at once.
One was taken before if an earlier t equals it, or if it is the m of an earlier k whose own t was
taken; the latter is followed from k to k, twice as far each time. Nothing waits for the device.
Source: Bentley & Floyd 1987, Programming pearls: a sample of brilliance, algorithm F2.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

PERMUTED = 100_000  # rows up to which all are permuted, as in runs that were recorded before
_BITS = 2**63 - 1  # of a random number, so that its remainder by n is uniform to n / 2^63


def distinct(n: int, count: int, generator: Generator | None, device: torch.device) -> Tensor:
    """Draw `count` of the numbers below n, none twice, in random order. Shape: -> (count,)."""
    if n <= PERMUTED:
        return torch.randperm(n, generator=generator, device=device)[:count]
    order = torch.randperm(count, generator=generator, device=device)
    most = torch.arange(n - count + 1, n + 1, device=device)
    drawn = torch.randint(_BITS, (count,), generator=generator, device=device) % most
    return floyd(n, drawn)[order]


def floyd(n: int, drawn: Tensor) -> Tensor:
    """Return the subset that the numbers t, (b,), choose of those below n; its order isn't random.

    The k-th t is at most n - b + k.
    """
    count, first = len(drawn), n - len(drawn)
    values, places = drawn.sort(stable=True)
    taken = torch.zeros(count + 1, dtype=torch.bool, device=drawn.device)  # the last: of no k
    taken[places[1:]] = values[1:] == values[:-1]
    instead = torch.arange(first, n, device=drawn.device)
    at_m = (drawn >= first) & (drawn < instead)  # t is the m of an earlier k, t - first
    before = torch.where(at_m, drawn - first, count)
    before = torch.cat([before, before.new_full((1,), count)])
    for _ in range(count.bit_length()):
        taken = taken | taken[before]
        before = before[before]
    return torch.where(taken[:-1], instead, drawn)
