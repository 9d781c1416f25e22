"""log Z = log ∫ exp(-E(x)) dx, or Σ in place of ∫, in any dimension, with its uncertainty.

    ais           annealed importance sampling: on average at most log Z
    smc           the same with resampling: more certain on long paths
    reverse_ais   from draws of the energy back to the base: on average at least log Z
    bracket       both, the second from the draws of the first

Z is estimated without a bias, so that log Z is, by Jensen's inequality, underestimated on average
by the forward ones and overestimated by the reverse one, as long as its draws are those of exp(-E).

Source: Neal 2001; Del Moral, Doucet and Jasra 2006; Burda, Grosse and Salakhutdinov 2015, "Accurate
and conservative estimates of MRF log-likelihood using reverse annealing"; Grosse, Ghahramani and
Adams 2015, "Sandwiching the marginal likelihood using bidirectional Monte Carlo".
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypedDict, Unpack

import torch
from torch import Generator, Tensor

from ebmcore import Energy, Kernel
from ebmcore_estimators.annealing import Annealed, anneal
from ebmcore_estimators.bases import Base, Gaussian, Uniform
from ebmcore_estimators.moves import Hamiltonian, HeatBath, Move, Stepped
from ebmcore_estimators.path import Path
from ebmcore_estimators.tuning import fit_path

PILOT = 256  # walkers that fit a path, at most
LEAPFROG = 4  # gradients of a Hamiltonian transition, unless they are given
JUMPS = 0  # before each Hamiltonian transition, unless they are given
FEWEST_STEPS = 30  # of a fitted path, unless they are given
REFINED = 4  # times as many steps as the pilot took
ERRORS = 2.0  # standard errors by which a bracket is wider than its two estimates


class LogZ(NamedTuple):
    """An estimate of log Z, and the weighted draws behind it."""

    log_z: float  # nats
    standard_error: float  # nats, of log_z, by the delta method over independent walkers or groups
    ess: float  # (Σ w)² / Σ v², v the weights of all walkers from one start: effective starts of n
    x: Tensor  # (n, *event), where the walkers ended
    weights: Tensor  # (n,), float64, their sum is 1
    acceptance: float  # the mean over the path
    path: Path

    def mean(self, values: Tensor) -> float:
        """Return the weighted mean of values at x, (n,): an expectation under the path's end."""
        return float((self.weights * values.to(self.weights)).sum())


class Bracket(NamedTuple):
    """log Z between two estimates, one too low on average and one too high."""

    low: float  # nats, the forward estimate less 2 of its standard errors
    high: float  # nats, the reverse estimate and 2 of its standard errors
    forward: LogZ
    reverse: LogZ

    @property
    def width(self) -> float:
        """The nats between both ends."""
        return self.high - self.low


class Moves(TypedDict, total=False):
    """The moves of an estimate, as `ais` explains them."""

    kernel: Kernel | None
    moves: int
    leapfrog: int
    jumps: int
    generator: Generator | None


class How(Moves, total=False):
    """The moves of an estimate and its path, as `ais` explains them."""

    path: Path | None
    steps: int | None
    betas: tuple[float, ...] | None


def ais(energy: Energy, base: Base | Tensor, *, n: int = 1024, **how: Unpack[How]) -> LogZ:
    """Estimate log Z by annealed importance sampling: independent walkers, weighted.

    Args:
        energy: E, (n, *event) -> (n,); in evaluation mode, if it is a module.
        base: Where the path begins: a `Gaussian`, a `Uniform`, or points, (m, *event), to which a
            Gaussian is fitted.
        n: Walkers.
        how: By name,
            path: The path, such as that of an earlier estimate; by default a pilot fits one.
            steps: The steps of a fitted path: more make each walker more certain. By default four
                times as many as the pilot took, and 30 at least.
            betas: The βs of the path, such as `sigmoid(1000)`, in place of those that a pilot
                chooses.
            kernel: The transition: any kernel that leaves exp(-E) invariant; by default Hamiltonian
                ones, or the heat bath of discrete events.
            moves: Transitions at each β, 1 by default.
            leapfrog: Gradients of a Hamiltonian transition, 4 by default.
            jumps: Jumps before each Hamiltonian transition, 0 by default.
            generator: The only source of randomness, on the base's device.

    Raises ValueError when a count is out of range, the kernel isn't one for such a path, or the
    energy seems to have no lower bound.
    """
    base = as_base(base)
    move = _move(energy, base, how)
    path = _path(move, base, n, how)
    return _forward(move, base, path, n, how)


def smc(
    energy: Energy,
    base: Base | Tensor,
    *,
    n: int = 1024,
    groups: int = 16,
    resample_at: float = 0.5,
    **how: Unpack[How],
) -> LogZ:
    """Estimate log Z by sequential Monte Carlo: annealing whose walkers are resampled on the way.

    The arguments are those of `ais`, and

    Args:
        groups: Groups of walkers that stay independent; the standard error is that of their mean.
        resample_at: The share of a group's size under which its effective size makes it resample.

    Raises ValueError as `ais` does, and when the groups don't divide n, or are fewer than 2.
    """
    base = as_base(base)
    move = _move(energy, base, how)
    _check_groups(n, groups, resample_at)
    path = _path(move, base, n, how)
    return _forward(move, base, path, n, how, groups, resample_at)


def reverse_ais(
    energy: Energy,
    base: Base | Tensor,
    x: Tensor,
    *,
    path: Path,
    groups: int = 1,
    resample_at: float = 0.0,
    **how: Unpack[Moves],
) -> LogZ:
    """Estimate log Z from draws of exp(-E), annealed back to the base: on average too high.

    That holds for exact, independent draws. Those of a long run are as good as the run; draws that
    miss a mode miss its share.

    Args:
        energy: As of `ais`, and so are the others.
        base: Where the way back ends.
        x: The draws, (n, *event).
        path: The path of a forward estimate, which is followed from its end.
        groups: With `resample_at`, independent groups that are resampled, as of `smc`; 1: none is.
        resample_at: As of `smc`; 0: none is resampled.
    """
    base = as_base(base)
    if groups > 1 or resample_at > 0:
        _check_groups(len(x), groups, resample_at)
    move = _move(energy, base, how)
    back = path.reversed()
    there = anneal(
        move, move.begin(x), back, how.get("generator"),
        moves=how.get("moves", 1), groups=groups, resample_at=resample_at,
    )  # fmt: skip
    return _estimate(there, back, sign=-1)


def bracket(
    energy: Energy,
    base: Base | Tensor,
    *,
    x: Tensor | None = None,
    data: Tensor | None = None,
    n: int = 1024,
    groups: int = 16,
    resample_at: float = 0.5,
    **how: Unpack[How],
) -> Bracket:
    """Bracket log Z: `smc` from the base, and its reverse from draws of exp(-E).

    The arguments are those of `smc`, and

    Args:
        x: Exact draws of exp(-E), (m, *event), of a number that the groups divide. By default the
            walkers of `smc`, resampled by their weights and moved on as often as the path has
            steps: the upper end then holds as far as these reach all modes.
        data: Points where the energy should be low, (m, *event): chains as long that begin there
            are annealed back, too, and the higher estimate counts. They show modes that the walkers
            don't reach, in shares that are the data's as long as no chain leaves its mode.
    """
    base = as_base(base)
    move = _move(energy, base, how)
    _check_groups(n, groups, resample_at)
    path = _path(move, base, n, how)
    forward = _forward(move, base, path, n, how, groups, resample_at)
    generator, moves = how.get("generator"), how.get("moves", 1)
    like = forward.x

    def moved_on(start: Tensor, chances: Tensor) -> Tensor:
        rows = torch.multinomial(chances, n, replacement=True, generator=generator)
        walkers = move.begin(start[rows].to(like))
        return anneal(move, walkers, path.end(), generator, moves=moves).walkers.x

    draws = [moved_on(forward.x, forward.weights) if x is None else x]
    if data is not None:
        draws.append(moved_on(data, torch.ones(len(data), device=like.device)))
    own: Moves = {
        "kernel": how.get("kernel"), "moves": moves, "generator": generator,
        "leapfrog": how.get("leapfrog", LEAPFROG), "jumps": how.get("jumps", JUMPS),
    }  # fmt: skip
    back = max(
        (reverse_ais(energy, base, of, path=path, groups=groups, resample_at=resample_at, **own)
         for of in draws),
        key=lambda estimate: estimate.log_z,
    )  # fmt: skip
    low = forward.log_z - ERRORS * forward.standard_error
    return Bracket(low, back.log_z + ERRORS * back.standard_error, forward, back)


def as_base(base: Base | Tensor) -> Base:
    """Return a base, or the Gaussian that is fitted to points."""
    return Gaussian.fitted(base) if isinstance(base, Tensor) else base


def _at_least(name: str, count: int, least: int) -> int:
    if count < least:
        raise ValueError(f"{name} should be at least {least}; got {count}")
    return count


def _check_groups(n: int, groups: int, resample_at: float) -> None:
    if groups < 2 or n % groups:
        raise ValueError(f"groups should be at least 2 and divide {n} walkers; got {groups}")
    if not 0 < resample_at <= 1:
        raise ValueError(f"resample_at should be above 0 and at most 1; got {resample_at}")


def _move(energy: Energy, base: Base, how: Moves) -> Move:
    """Return the transition: a kernel's step, or the own one for the base's space."""
    kernel = how.get("kernel")
    if kernel is not None:
        spaces = getattr(kernel, "spaces", ())
        if not isinstance(base.space, spaces):
            there = " and ".join(cls.kind for cls in spaces)
            raise ValueError(f"the kernel moves in {there} events, and the base is {base.space}")
        return Stepped(energy, base, kernel)
    if isinstance(base, Gaussian):
        leapfrog = _at_least("leapfrog", how.get("leapfrog", LEAPFROG), 1)
        return Hamiltonian(energy, base, leapfrog, _at_least("jumps", how.get("jumps", JUMPS), 0))
    if isinstance(base, Uniform):
        return HeatBath(energy, base)
    raise ValueError("a base of another kind than Gaussian and Uniform needs a kernel")


def _path(move: Move, base: Base, n: int, how: How) -> Path:
    """Return the given path, or a fitted one."""
    path, betas, steps = how.get("path"), how.get("betas"), how.get("steps")
    _at_least("n", n, 2)
    moves = _at_least("moves", how.get("moves", 1), 1)
    if path is not None:
        return path
    if betas is not None and (betas[0] != 0 or betas[-1] != 1 or list(betas) != sorted(betas)):
        raise ValueError("betas should rise from 0 to 1")
    path = fit_path(move, base, how.get("generator"), pilot=min(n, PILOT), betas=betas, moves=moves)
    if betas is not None and steps is None:
        return path
    return path.refined(max(FEWEST_STEPS, REFINED * path.steps) if steps is None else steps)


def _forward(
    move: Move,
    base: Base,
    path: Path,
    n: int,
    how: How,
    groups: int = 1,
    resample_at: float = 0.0,
) -> LogZ:
    generator = how.get("generator")
    there = anneal(
        move, move.begin(base.sample(n, generator)), path, generator,
        moves=how.get("moves", 1), groups=groups, resample_at=resample_at,
    )  # fmt: skip
    return _estimate(there, path, sign=1)


def _estimate(there: Annealed, path: Path, *, sign: int) -> LogZ:
    """Return the estimate of the weights of an annealing from the base, sign 1, or to it, -1."""
    log_w = there.log_weights
    log_mean = log_w.flatten().logsumexp(0) - math.log(log_w.numel())
    weights = (log_w - log_mean).exp() / log_w.numel()
    independent = log_w.T if len(log_w) == 1 else log_w
    parts = (independent.logsumexp(1) - math.log(independent.shape[1]) - log_mean).exp()
    error = parts.std() / math.sqrt(len(parts))  # of Z over Z, so of log Z
    of_starts = torch.zeros_like(weights).scatter_add_(1, there.ancestors, weights)
    ess = 1 / of_starts.square().sum()
    numbers = torch.stack([log_mean, error, ess, there.acceptance.mean().to(ess)]).tolist()
    return LogZ(
        sign * numbers[0], numbers[1], numbers[2], there.walkers.x, weights.flatten(), numbers[3],
        path,
    )  # fmt: skip
