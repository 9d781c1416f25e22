"""Annealing: walkers move along a path, and their weights say how the normalisers compare.

At each step from β to β', log w ← log w + (β' - β) (E₀(x) - E(x)), and then x moves by a transition
that leaves p_β' invariant. From exact draws of p at the path's start, the mean of w is an unbiased
estimate of the ratio of the two normalisers, Z at the end over Z at the start.

With resampling (sequential Monte Carlo) walkers of large weight are copied in the place of those of
small weight, within groups that stay independent of each other, and the copies share the weight.

Source: Neal 2001, "Annealed importance sampling"; Del Moral, Doucet and Jasra 2006, "Sequential
Monte Carlo samplers"; systematic resampling: Kitagawa 1996, "Monte Carlo filter and smoother".
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore_estimators.moves import Move
from ebmcore_estimators.path import Path
from ebmcore_estimators.walkers import Walkers


class Annealed(NamedTuple):
    """Where an annealing ended."""

    walkers: Walkers
    log_weights: Tensor  # (groups, size), float64, nats
    ancestors: Tensor  # (groups, size), where each walker began, within its group
    acceptance: Tensor  # (steps,), the mean of each


def anneal(
    move: Move,
    walkers: Walkers,
    path: Path,
    generator: Generator | None,
    *,
    moves: int = 1,
    groups: int = 1,
    resample_at: float = 0.0,
) -> Annealed:
    """Follow a path; nothing waits for the device on the way.

    Args:
        move: A transition that leaves p_β invariant.
        walkers: Draws of p at the path's first β.
        path: The βs to visit, with the moves' step sizes.
        generator: The source of randomness, on the walkers' device.
        moves: Transitions at each β.
        groups: Independent groups within which walkers are resampled; they divide the walkers.
        resample_at: A group is resampled once its effective size is below this share; 0: never.
    """
    n = len(walkers.x)
    device = walkers.target.device
    wide = torch.float32 if device.type == "mps" else torch.float64
    log_w = torch.zeros(groups, n // groups, device=device, dtype=wide)
    ancestors = torch.arange(n // groups, device=device).expand(groups, -1)
    accepted = []
    for step in range(1, len(path.betas)):
        beta = path.betas[step]
        gain = (walkers.base - walkers.target).to(wide) * (beta - path.betas[step - 1])
        log_w = log_w + gain.reshape(log_w.shape)
        if resample_at > 0:
            log_w, index = resampled(log_w, resample_at, generator)
            first = torch.arange(groups, device=device)[:, None] * index.shape[1]
            walkers = walkers.rows((first + index).flatten())
            ancestors = ancestors.gather(1, index)
        size = None if path.step_sizes is None else path.step_sizes[step]
        scale = None if path.scales is None else path.scales[step]
        for _ in range(moves):
            if path.proposals is not None and move.jump is not None:
                walkers, _ = move.jump(walkers, beta, path.proposals[step], generator)
            walkers, acceptance = move(walkers, beta, size, scale, generator)
        accepted.append(acceptance.mean())
    return Annealed(walkers, log_w, ancestors, torch.stack(accepted))


def resampled(
    log_w: Tensor, threshold: float, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    """Resample, systematically, each group whose effective size is below a share of it.

    Shapes: log_w (groups, size) -> the weights, of which the copies share the mean, and the number
    of each walker's parent in its group, (groups, size).
    """
    groups, size = log_w.shape
    share = log_w.softmax(1)
    ticks = torch.arange(size, device=log_w.device)
    start = torch.rand((groups, 1), generator=generator, device=log_w.device, dtype=log_w.dtype)
    parents = torch.searchsorted(share.cumsum(1), (start + ticks) / size, right=True)
    due = share.square().sum(1, keepdim=True) * (threshold * size) > 1
    index = torch.where(due, parents.clamp(max=size - 1), ticks)
    mean = log_w.logsumexp(1, keepdim=True) - math.log(size)
    return torch.where(due, mean, log_w), index
