"""Random numbers from a generator that is handed over, on its device."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def device_of(generator: Generator | None) -> torch.device:
    """Return where a generator draws; without one, the CPU."""
    return torch.device("cpu") if generator is None else generator.device


def normal(shape: tuple[int, ...], generator: Generator | None, dtype: torch.dtype) -> Tensor:
    """Draw N(0, 1) in each place."""
    return torch.randn(shape, generator=generator, device=device_of(generator), dtype=dtype)


def uniform(shape: tuple[int, ...], generator: Generator | None, dtype: torch.dtype) -> Tensor:
    """Draw uniformly from [0, 1) in each place."""
    return torch.rand(shape, generator=generator, device=device_of(generator), dtype=dtype)


def choose(shares: Tensor, n: int, generator: Generator | None) -> Tensor:
    """Draw n indices with these probabilities, (k,) -> (n,)."""
    shares = shares.to(device_of(generator))
    return torch.multinomial(shares, n, replacement=True, generator=generator)


def evenly(count: int, n: int, generator: Generator | None) -> Tensor:
    """Draw n indices below `count`, each as likely, -> (n,)."""
    return torch.randint(count, (n,), generator=generator, device=device_of(generator))
