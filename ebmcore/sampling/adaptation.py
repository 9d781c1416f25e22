"""A warm-up: step size and mass adapted in windows, as in Stan, and pooled over the chains.

A first buffer adapts the step size and, if it is long and there are four chains or more, takes
M⁻¹ from where they stand after every tenth step. Then follow windows, each twice as long as the
last: at the end of each, the variances of x in it, over all chains, become the inverse mass, M⁻¹.
With each M⁻¹ the step size begins anew. A last buffer adapts it alone; after that all is fixed.

Step size, by dual averaging of the chains' mean acceptance α towards δ, m = 1, 2, … from each
beginning: H̄ ← (1 - 1/(m + t₀)) H̄ + (δ - α)/(m + t₀); log ε ← μ - (√m/γ) H̄; log ε̄ ←
m^(-κ) log ε + (1 - m^(-κ)) log ε̄. The walk of ε never settles; its average ε̄ does. μ = log 10 ε
of the first ε, in later windows log ε (Stan: log 10 ε), where ε is near and the last buffer short.
γ is Stan's 0.05 until the first window ends, then 0.2: with 0.05, meant for the noise of one chain,
log ε overshoots in the last 50 steps, so that α ends .06 to .18 over δ (HMC and MALA, one chain;
with 0.2 within .1, of 16 chains within .03).
Before the last buffer, α is lowered by the harmonic over the plain mean of the chains' recent
acceptances: it falls to 0 for a chain that is stuck where ε is too large, which so moves again.
Mass: n of a window's points give (n V + 5 · 10⁻³ M⁻¹)/(n + 5), V their variances. Stan shrinks to
10⁻³, in any unit; M⁻¹ is that of the window before, so that units matter in the first alone.
In the first buffer M⁻¹ is the spread of x over that of its score s, each over the chains as they
stand: v on a Gaussian of variance v, wherever it is and however narrow the chains began.
Source: Hoffman and Gelman 2014, section 3.2; Hoffman, Radul and Sountsov 2021, "An adaptive-MCMC
scheme for setting trajectory lengths" (the harmonic mean); Stan Reference Manual, "HMC algorithm
parameters"; the ratio of spreads: nutpie (Seyboldt, Carlson and Carpenter), over a chain's draws.
"""

from __future__ import annotations

import itertools
import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ebmcore.contracts import Carried
from ebmcore.sampling.waits import any_left

T_0, KAPPA = 10, 0.75  # steadier first steps, and how fast the average forgets
GAMMA, FIRST_GAMMA = 0.2, 0.05  # the pull of log ε to μ; in the first window it must go far
EVERY, LEAST = 10, 4  # in the first buffer: steps between masses, and the chains they take
Mass = Literal["diagonal", "dense", "fixed"]  # of which the variances of x are taken


class Adapted(NamedTuple):
    """The adaptation so far, fields of a kernel's state; all but the last are the same for all."""

    step_size: Tensor  # (chains,), ε of the next step
    log_mean: Tensor  # (chains,), log ε̄, kept when the warm-up ends
    shortfall: Tensor  # (chains,), H̄, how far the acceptance has fallen short of its target
    centre: Tensor  # (chains,), μ, the log of the ε that this window began with; first of 10 ε
    taken: Tensor  # (chains,), int64, steps that were taken
    scale: Tensor  # (chains, d), √ of M⁻¹; if dense (chains, d, d), its lower Cholesky factor
    points: Tensor  # (chains,), the points in this window
    mean: Tensor  # (chains, d), their mean
    squares: Tensor  # as scale, the sum of their squares, or products, about it
    recent: Tensor  # (chains,), each chain's own acceptance, averaged over some ten steps


class WarmUp:
    """Adapts the step size and the mass of a kernel; it holds settings, its state is `Adapted`.

    The kernel's state has the fields of `Adapted`, named in its `carries` so that chains which
    remember go on with them. Chains with different ones go on with those of the most steps.

    Args:
        steps: How many steps adapt; under 20, the step size alone.
        target: δ, the mean acceptance that is aimed at.
        mass: `diagonal` or `dense` variances of x, or `fixed`.
    """

    def __init__(self, steps: int, *, target: float, mass: Mass = "diagonal") -> None:
        self.steps, self.target, self.mass = steps, target, mass
        self.buffer, *self.ends = windows(steps) if mass != "fixed" and steps >= 20 else [0]
        self.early = list(range(EVERY, self.buffer - EVERY + 1, EVERY))

    def begin(
        self,
        x: Tensor,
        carried: Carried | None,
        step_size: Tensor | float,
        scale: Tensor | None = None,
    ) -> Adapted:
        """Return what the chains carry, or the start at a step size and √M⁻¹, by default 1."""
        chains, d = len(x), x.shape[1:].numel()
        zero, mean = x.new_zeros(chains), x.new_zeros(chains, d)
        scale = torch.ones_like(mean) if scale is None else scale
        if self.mass == "dense":
            scale = torch.diag_embed(scale)
        size, log_size = zero + step_size, (zero + step_size).log()
        new = Adapted(size, log_size, zero, math.log(10) + log_size, zero.to(torch.int64), scale,
                      zero, mean, torch.zeros_like(scale), zero + self.target)  # fmt: skip
        if carried is None:
            return new
        rows = [carried.or_new(name, value) for name, value in new._asdict().items()]
        first = rows[Adapted._fields.index("taken")].argmax(0, keepdim=True)
        shared = (row.index_select(0, first).expand_as(row) for row in rows[:-1])
        return Adapted(*[*shared, rows[-1]])

    def after(
        self,
        adapted: Adapted,
        x: Tensor,
        acceptance: Tensor,
        ok: Tensor,
        score: Tensor,
    ) -> Adapted:
        """Return the adaptation after a step that ended at x, of the chains that are ok.

        Shapes: x and its score (chains, *event); acceptance (chains,), ok (chains,), bool.
        """
        chains = len(x)
        old = Adapted(*(row[0] for row in adapted))
        taken = old.taken + 1
        n = ok.sum().to(x.dtype)
        acceptance = acceptance.detach()
        recent = torch.where(ok, 0.9 * adapted.recent + 0.1 * acceptance, adapted.recent)
        accepted = torch.where(ok, acceptance, 0.0).sum() / n.clamp(min=1)
        if self.ends:
            even = (
                n**2 / torch.where(ok, 1 / recent, 0.0).sum() / torch.where(ok, recent, 0.0).sum()
            )
            accepted = torch.where(taken > self.ends[-1], accepted, accepted * even.nan_to_num(1.0))
        begins = [0, *self.early, *self.ends]
        begun = sum((taken > b) * (b - a) for a, b in itertools.pairwise(begins))
        gamma = torch.where(taken <= self.ends[0], FIRST_GAMMA, GAMMA) if self.ends else GAMMA
        new = dual_average(old, accepted, taken - begun, self.target, gamma)._replace(taken=taken)
        if self.ends:
            new = self._with_mass(new, x.detach().flatten(1), ok, n)
        if self.early:
            new = self._by_scores(new, x.detach().flatten(1), score.detach().flatten(1), ok, n)
        last = taken == self.steps
        new = new._replace(step_size=torch.where(last, new.log_mean.exp(), new.step_size))
        kept = (torch.where(taken <= self.steps, a, b) for a, b in zip(new, old, strict=True))
        return Adapted(*(v.expand(chains, *v.shape) for v in kept))._replace(
            taken=taken.expand(chains), recent=recent
        )

    def _with_mass(self, now: Adapted, x: Tensor, ok: Tensor, n: Tensor) -> Adapted:
        """Add the chains' points to the window; at its end, take M⁻¹ from it and begin anew."""
        at, dense = now.taken, self.mass == "dense"
        inside = (at > self.buffer) & (at <= self.ends[-1]) & (n > 0)
        count = now.points + n
        here = torch.where(ok[:, None], x, 0.0).sum(0) / n.clamp(min=1)
        off, gap = torch.where(ok[:, None], x - here, 0.0), here - now.mean
        share = n / count.clamp(min=1)
        within = off.T @ off if dense else off.square().sum(0)
        between = now.points * share * (gap.outer(gap) if dense else gap.square())
        point = now._replace(
            points=count, mean=now.mean + share * gap, squares=now.squares + within + between
        )
        now = Adapted(*(torch.where(inside, a, b) for a, b in zip(point, now, strict=True)))
        ends = torch.stack([at == end for end in self.ends]).any() & (now.points > 1)
        if dense and not any_left(ends):
            return now
        old = (now.scale @ now.scale.T).diag() if dense else now.scale.square()
        small = 5e-3 * (old.diag() if dense else old)
        n = now.points
        inverse = (n * now.squares / (n - 1).clamp(min=1) + small) / (n + 5)
        scale, failed = torch.linalg.cholesky_ex(inverse) if dense else (inverse.sqrt(), 0 * at)
        begun = anew(now, scale, old / (inverse.diag() if dense else inverse))
        begun = begun._replace(points=0 * n, mean=0 * now.mean, squares=0 * now.squares)
        ends = ends & (failed == 0)
        return Adapted(*(torch.where(ends, a, b) for a, b in zip(begun, now, strict=True)))

    def _by_scores(self, now: Adapted, x: Tensor, score: Tensor, ok: Tensor, n: Tensor) -> Adapted:
        """At the steps of `early`, take M⁻¹ from where the chains stand and begin ε anew."""
        dense = self.mass == "dense"
        due = torch.stack([now.taken == step for step in self.early]).any() & (n >= LEAST)
        old = now.scale.diag().square() if dense else now.scale.square()
        inverse = spread(x, ok, n) / spread(score, ok, n)
        inverse = torch.where(inverse.isfinite() & (inverse > 0), inverse, old)
        scale = inverse.sqrt()
        begun = anew(now, scale.diag() if dense else scale, old / inverse)
        return Adapted(*(torch.where(due, a, b) for a, b in zip(begun, now, strict=True)))


def spread(x: Tensor, ok: Tensor, n: Tensor) -> Tensor:
    """Return the standard deviation over the n chains that are ok; (chains, d) -> (d,)."""
    x = torch.where(ok[:, None], x, 0.0)
    off = torch.where(ok[:, None], x - x.sum(0) / n.clamp(min=1), 0.0)
    return (off.square().sum(0) / (n - 1).clamp(min=1)).sqrt()


def anew(now: Adapted, scale: Tensor, shrunk: Tensor) -> Adapted:
    """Begin ε anew with √M⁻¹ = scale, where M⁻¹ was `shrunk`, (d,), times what it is now."""
    # on a Gaussian of scales s, ε is stable under 2 min s/√M⁻¹
    size = now.log_mean.exp() * shrunk.max().sqrt()
    log_size = size.log()
    return now._replace(
        step_size=size, log_mean=log_size, shortfall=0 * now.shortfall, centre=log_size, scale=scale
    )


def dual_average(
    now: Adapted, acceptance: Tensor, step: Tensor, target: float, gamma: Tensor | float = GAMMA
) -> Adapted:
    """Return the adaptation with ε and ε̄ after step m = `step`, from 1 on, of an acceptance."""
    m = step.to(acceptance.dtype)
    share = 1 / (m + T_0)
    shortfall = (1 - share) * now.shortfall + share * (target - acceptance)
    log_step = now.centre - m.sqrt() / gamma * shortfall
    weight = m**-KAPPA
    log_mean = weight * log_step + (1 - weight) * now.log_mean
    return now._replace(step_size=log_step.exp(), log_mean=log_mean, shortfall=shortfall)


def windows(steps: int) -> list[int]:
    """Return after how many steps the first window begins and each one ends; Stan's schedule."""
    first, size, last = 75, 25, 50
    if first + size + last > steps:
        first, last = int(0.15 * steps), int(0.1 * steps)
        size = steps - first - last
    ends = [first, first + size]
    while ends[-1] < steps - last:
        size *= 2
        end = ends[-1] + size
        ends.append(end if end + 2 * size <= steps - last else steps - last)
    return ends
