"""A posterior: its energy in raw coordinates, and each parameter's mean and standard deviation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

DOUBLE = torch.float64


class Posterior(NamedTuple):
    """A posterior and its reference."""

    name: str
    energy: Callable[[Tensor], Tensor]  # (chains, d) -> (chains,), nats
    mean: Tensor  # (d,)
    sd: Tensor  # (d,)
    how: str  # the reference was computed


def sampled_reference(
    name: str, energy: Callable[[Tensor], Tensor], d: int, *, n: int = 200_000, seed: int = 0
) -> Posterior:
    """Take mean and sd by importance sampling from a t (5 degrees of freedom) at the mode.

    Draws are independent, and weighted exactly: no Markov chain takes part. Newton's method finds
    the mode; the t has its curvature. `how` says the effective number of the n draws.
    """
    mode = torch.zeros(d, dtype=DOUBLE)
    for _ in range(200):
        slope, curvature = _slope(energy, mode), _curvature(energy, mode)
        values, vectors = torch.linalg.eigh(curvature)
        step = vectors @ ((vectors.T @ slope) / values.abs().clamp(min=1e-12))
        size = 1.0
        while size > 1e-9 and not energy((mode - size * step)[None]) <= energy(mode[None]):
            size /= 2
        mode = mode - size * step
    factor = torch.linalg.cholesky(torch.linalg.inv(_curvature(energy, mode))) * 1.1
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, d, generator=generator, dtype=DOUBLE)
    chi = torch.randn(n, 5, generator=generator, dtype=DOUBLE).square().sum(1) / 5
    z = z / chi.sqrt()[:, None]
    x = mode + z @ factor.T
    log_t = -0.5 * (5 + d) * torch.log1p(z.square().sum(1) / 5)
    with torch.no_grad():
        values = torch.cat([energy(part) for part in x.split(5000)])
    log_w = torch.nan_to_num(-values - log_t, nan=-math.inf)
    w = torch.softmax(log_w, 0)
    mean = w @ x
    sd = (w @ (x - mean) ** 2).sqrt()
    share = float(1 / (w.square().sum() * n))
    return Posterior(name, energy, mean, sd, f"{n:,} weighted draws, {share:.0%} effective")


def _slope(energy: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(energy(x[None]).sum(), x)[0]


def _curvature(energy: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    found: Tensor = torch.autograd.functional.hessian(lambda x: energy(x[None]).sum(), x)
    return found
