"""Random numbers from a generator that the caller passes, on the generator's device."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def device_of(generator: Generator | None) -> torch.device:
    """Return the generator's device; without a generator, the CPU."""
    return torch.device("cpu") if generator is None else generator.device


def normal(shape: tuple[int, ...], generator: Generator | None, dtype: torch.dtype) -> Tensor:
    """Draw each element from N(0, 1)."""
    return torch.randn(shape, generator=generator, device=device_of(generator), dtype=dtype)


def uniform(shape: tuple[int, ...], generator: Generator | None, dtype: torch.dtype) -> Tensor:
    """Draw each element uniformly from [0, 1)."""
    return torch.rand(shape, generator=generator, device=device_of(generator), dtype=dtype)


def choose(shares: Tensor, n: int, generator: Generator | None) -> Tensor:
    """Draw n indices with these probabilities, (k,) -> (n,)."""
    shares = shares.to(device_of(generator))
    return torch.multinomial(shares, n, replacement=True, generator=generator)


def evenly(count: int, n: int, generator: Generator | None) -> Tensor:
    """Draw n indices below `count`, all equally likely, -> (n,)."""
    return torch.randint(count, (n,), generator=generator, device=device_of(generator))
