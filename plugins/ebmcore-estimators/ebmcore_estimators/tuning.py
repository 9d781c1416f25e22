"""A path fitted to an energy, by a pilot whose walkers are then thrown away.

The next β is the farthest at which the walkers, weighted for it, keep a share of their effective
size (Zhou, Johansen and Aston 2016, "Toward automatic model comparison", the conditional ESS, of
walkers of equal weight). At each β they are resampled and moved; the step size follows the
acceptance, and the scale of each coordinate is (variance of z / mean square of the score)^¼, the
standard deviation on a Gaussian, and smaller where wells are narrower than the distances between
them.

An estimate along a fitted path uses walkers of its own, so what the pilot chose biases nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ebmcore_estimators.annealing import resampled
from ebmcore_estimators.bases import Base
from ebmcore_estimators.moves import Move
from ebmcore_estimators.path import Path
from ebmcore_estimators.walkers import Walkers

ACCEPTANCE = 0.8  # that the step size aims at
NEAR = (0.6, 0.95)  # acceptance outside which a β gets more moves, so that the step size follows
MOST_MOVES = 20  # at a β
HALVINGS = 40  # of the interval that holds the log of the next difference of β
SMALLEST = 1e-30  # difference of two βs
MOST_STEPS = 500  # of a pilot


def fit_path(
    move: Move,
    base: Base,
    generator: Generator | None,
    *,
    pilot: int,
    keep: float = 0.9,
    betas: tuple[float, ...] | None = None,
    moves: int = 1,
) -> Path:
    """Return a path from the base to the energy with the step sizes of its moves.

    Args:
        move: The transition to fit.
        base: Where walkers begin.
        generator: The source of randomness, on the base's device.
        pilot: How many walkers there are.
        keep: The share of its effective size that the pilot keeps at each step; nearer 1 there are
            more steps.
        betas: The path's βs, where they are not to be chosen.
        moves: Transitions at each β.

    Raises ValueError when the energies at the base's draws are too far apart for any step, and when
    more than 500 steps are needed, as for an energy without a bound.
    """
    walkers = move.begin(base.sample(pilot, generator))
    log_size = torch.full((), -0.25 * math.log(walkers.x[0].numel()), device=walkers.target.device)
    visited, sizes, scales = [0.0], [log_size], [_scale(walkers, 0.0)]
    ahead = list(betas[1:]) if betas is not None else None
    jump, together = move.jump, 1.0
    proposals = [] if jump is None else [jump.proposal(walkers, together)]
    while visited[-1] < 1:
        lead = walkers.base - walkers.target
        beta = ahead.pop(0) if ahead is not None else _next(visited[-1], lead, keep)
        log_w = ((beta - visited[-1]) * lead.double())[None]
        index = resampled(log_w, 1.0, generator)[1][0]
        walkers = walkers.rows(index)
        scale = _scale(walkers, beta)
        for count in range(1, MOST_MOVES + moves):
            if jump is not None:
                walkers, together = jump.tried(walkers, beta, together, generator)
            walkers, acceptance = move(walkers, beta, log_size.exp(), scale, generator)
            log_size = log_size + (acceptance.mean().to(log_size) - ACCEPTANCE)
            near = not move.takes_step_size or NEAR[0] < float(acceptance.mean()) < NEAR[1]
            if count >= moves and near:
                break
        visited.append(beta)
        sizes.append(log_size)
        scales.append(scale)
        if jump is not None:
            proposals.append(jump.proposal(walkers, together))
        if ahead is None and len(visited) > MOST_STEPS:
            raise ValueError(
                f"the path reached only β = 1 - {1 - beta:.2g} in {MOST_STEPS} steps: the energy "
                "may have no lower bound, so that exp(-E) can't be normalised; else give a base "
                "nearer to it"
            )
    if not move.takes_step_size:
        return Path(tuple(visited))
    known = [scale for scale in scales if scale is not None]
    return Path(
        tuple(visited), torch.stack(sizes).exp(), torch.stack(known) if known else None,
        tuple(proposals) or None,
    )  # fmt: skip


def _next(beta: float, lead: Tensor, keep: float) -> float:
    """Return the largest next β at which weights exp((β' - β) lead) keep their effective size."""
    finite = lead.double()[lead.isfinite()]  # others have no weight, whatever the step
    left = 1 - beta

    def is_kept(step: Tensor) -> Tensor:
        return (step * finite).softmax(0).square().sum() * (keep * len(finite)) <= 1

    low = torch.full((), math.log(min(SMALLEST, left)), dtype=torch.float64, device=lead.device)
    high = torch.full_like(low, math.log(left))
    if len(finite) < 2 or not bool(is_kept(low.exp())):
        raise ValueError(
            f"of {len(lead)} draws of the base {len(finite)} have a finite energy, and these lie "
            "too far from where it is low; give another base"
        )
    low = torch.where(is_kept(high.exp()), high, low)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        kept = is_kept(middle.exp())
        low, high = torch.where(kept, middle, low), torch.where(kept, high, middle)
    step = float(low.exp())
    return 1.0 if step >= left * (1 - 1e-9) else beta + step


def _scale(walkers: Walkers, beta: float) -> Tensor | None:
    """Return the scale of each coordinate of z for moves at β, (features,)."""
    if walkers.z is None or walkers.score is None:
        return None
    score = beta * walkers.score - (1 - beta) * walkers.z
    ratio = walkers.z.var(0) / score.square().mean(0)
    known = ratio.isfinite() & (ratio > 0)
    return torch.where(known, ratio, 1.0).pow(0.25)
