"""Random changes of discrete events, each as likely as its reverse."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor

Perturbation = Literal["bernoulli", "cyclic", "ordinal", "grid"]


class Perturbed(NamedTuple):
    """Events around a batch: where each was moved, and where it may have come from."""

    moved: Tensor  # (batch, *event), y ~ q(· | x)
    origins: Tensor  # (samples, batch, *event), ~ q(· | y), q being symmetric


def transition(kind: Perturbation, k: int, epsilon: float, time: float) -> Tensor:
    """Return q(b | a) of one number, (k, k) float64, symmetric.

    bernoulli: ε/(k - 1) to each other value. cyclic and ordinal: the heat kernel exp(tL), L the
    Laplacian of values in a ring, or in a row, whose neighbours a value passes to at rate 1 each.
    """
    if kind == "bernoulli":
        other = epsilon / (k - 1)
        same: Tensor = (1 - epsilon - other) * torch.eye(k, dtype=torch.float64)
        return same + other
    rates = torch.zeros(k, k, dtype=torch.float64)
    steps = k if kind == "cyclic" and k > 2 else k - 1
    for a in range(steps):
        b = (a + 1) % k
        rates[a, b] = rates[b, a] = 1.0
    found: Tensor = torch.linalg.matrix_exp(time * (rates - torch.diag(rates.sum(1))))
    return found


def perturb(
    x: Tensor, k: int, kind: Perturbation, kernel: Tensor, samples: int, generator: Generator | None
) -> Perturbed:
    """Move a batch of events, and draw where the moved ones may have come from.

    kernel (k, k) is `transition`'s; a grid changes one number, chosen at random, to another value.
    """
    moves = _to_neighbour if kind == "grid" else _by_kernel
    moved = moves(x, k, kernel, generator)
    many = moved.expand(samples, *x.shape).flatten(0, 1)
    origins = moves(many, k, kernel, generator).reshape(samples, *x.shape)
    return Perturbed(moved, origins)


def _by_kernel(x: Tensor, k: int, kernel: Tensor, generator: Generator | None) -> Tensor:
    ends = kernel.to(x.device).cumsum(1)[:, :-1].float()
    uniform = torch.rand(x.shape, generator=generator, device=x.device)
    return (uniform[..., None] >= ends[x.long()]).sum(-1).to(x.dtype)


def _to_neighbour(x: Tensor, k: int, kernel: Tensor, generator: Generator | None) -> Tensor:
    flat, numbers = x.flatten(1), math.prod(x.shape[1:])
    site = torch.randint(numbers, (len(x), 1), generator=generator, device=x.device)
    on = torch.randint(1, k, (len(x), 1), generator=generator, device=x.device)
    return flat.scatter(1, site, (flat.gather(1, site) + on).to(x.dtype) % k).reshape(x.shape)
