"""The No-U-Turn sampler: Hamiltonian paths that end by themselves, with a warm-up that tunes them.

`trajectory.py` has the path, `ebmcore.WarmUp` the adaptation of step size and mass.
Source: Hoffman and Gelman 2014, "The No-U-Turn sampler"; Betancourt 2017, "A conceptual
introduction to Hamiltonian Monte Carlo"; Stan Reference Manual.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Generator, Tensor

from ebmcore import (
    Adapted,
    Carried,
    Energy,
    Kernel,
    Mass,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
    WarmUp,
    any_left,
    energy_and_score,
)
from ebmcore_hmc.trajectory import (
    Choice,
    Course,
    Grown,
    Phase,
    Span,
    chosen,
    grow,
    grow_two,
    join,
    subtree,
    whiten,
)

_DOUBLINGS = 60  # of the first step size, up or down: 10^18
_ROUGH = 6, 8  # the most doublings in the first buffer and window, whose masses are rough


class NUTSState(NamedTuple):
    """The state of the chains; from `step_size` on, the fields of `ebmcore.Adapted`."""

    x: Tensor  # (chains, *event)
    energy: Tensor  # (chains,), nats, at x
    score: Tensor  # (chains, *event), nats per unit of x, at x
    step_size: Tensor  # (chains,), ε
    log_mean: Tensor  # (chains,), log ε̄ of the dual averaging
    shortfall: Tensor  # (chains,), its H̄
    centre: Tensor  # (chains,), its μ
    taken: Tensor  # (chains,), int64, the steps taken
    scale: Tensor  # (chains, d), √M⁻¹; if dense, (chains, d, d), its lower Cholesky factor
    points: Tensor  # (chains,), the points in this window
    mean: Tensor  # (chains, d), their mean
    squares: Tensor  # as scale, the sum of their squares about it
    recent: Tensor  # (chains,), each chain's acceptance of late


class NUTSInfo(NamedTuple):
    """Diagnostics of one step, which monitors may log."""

    energy: Tensor  # (chains,), nats, where the step began
    acceptance: Tensor  # (chains,), the mean of min(1, exp(-ΔH/T)) over the leaves
    depth: Tensor  # (chains,), how often the tree doubled
    n_leapfrog: Tensor  # (chains,), leapfrog steps, those of a discarded subtree too
    divergent: Tensor  # (chains,), 1 where ΔH/T > 1000 or anything isn't finite, else 0
    step_size: Tensor  # (chains,), the ε that was used
    energy_error: Tensor  # (chains,), ΔH of the point that was chosen, nats


class NUTS(Kernel):
    """The No-U-Turn sampler, multinomial: a path doubles, in a random direction, until it turns.

    Fresh momenta p ~ N(0, MT); then leapfrog steps of size ε, 1, 2, 4, … of them, until the path
    or a part of it turns back, diverges, or has doubled `max_depth` times. The next point is one of
    the path's, chosen by exp(-H/T), H = E(x) + ½ pᵀM⁻¹p, with a preference for the later half.
    Samples exp(-E/T) without a bias, whatever ε. The chains of a batch go side by side until the
    longest path ends; one gradient for each leapfrog step.

    In the first `warm_up` steps ε and M are adapted, for all chains at once: Stan's windows, dual
    averaging towards `target_acceptance`, variances over the window's points of all chains. In the
    first buffer M comes from the chains' spread and their scores', and a path doubles 6 times at
    most; in the first window, 8.
    Meanwhile exp(-E/T) is not exactly invariant: drop these steps (`burn_in` of `sample_chain`, at
    least `warm_up`). Chains that remember (`chains: persistent`) carry what was adapted, so that
    the warm-up is of their first steps, whatever the length of a run; a chain that begins anew
    takes it from the others. With `chains: noise` every run warms up anew: give `warm_up: 0` and a
    `step_size`.

    The step size begins where one leapfrog step keeps ½ of the chains, found by doubling and
    halving (Hoffman and Gelman's algorithm 4, over all chains), unless `step_size` gives it.

    Divergent paths end and give no point beyond ΔH/T = 1000; `divergent` counts them. They mean
    that ε is too large for some region, such as a funnel's neck: raise `target_acceptance`, or
    write the energy in other coordinates. A chain that begins at an energy that isn't finite stays.

    The info is of each chain: `energy` where the step began, `acceptance`, `depth`, `n_leapfrog`,
    `divergent`, `step_size`, and `energy_error`, ΔH of the chosen point.

    Args:
        step_size: ε, in units of x where the mass is 1; with a warm-up, its first value. None:
            found from where the chains begin.
        warm_up: The first steps of the chains, in which ε and M are adapted; 0 keeps both.
        mass: M: `diagonal` or `dense`, from the variances of x in the warm-up; `unit` keeps I.
        max_depth: The most doublings of a step, which then has 2^max_depth - 1 leapfrog steps;
            fewer early in the warm-up.
        target_acceptance: δ, the mean acceptance that the warm-up aims at, between 0 and 1.
        temperature: T; 1 samples exp(-E).

    Raises ValueError when target_acceptance is 0 or 1.
    Source: Hoffman and Gelman 2014; Betancourt 2017, appendix A; Stan Reference Manual.
    """

    unbiased = True  # on any energy, but in a warm-up
    long_step = True  # of 1,000 gradients at most, as many as the chains need
    waits = "its path goes on until every chain has turned, which only their values tell"
    parts = ("leaf", "two_leaves", "joined")  # of a step, which `sample_chain` can compile
    check_params: ClassVar = {"warm_up": 0, "step_size": 0.7, "max_depth": 3}

    def __init__(
        self,
        step_size: PositiveFloat | None = None,
        *,
        warm_up: NonNegativeInt = 1000,
        mass: Literal["diagonal", "dense", "unit"] = "diagonal",
        max_depth: PositiveInt = 10,
        target_acceptance: Probability = 0.8,
        temperature: PositiveFloat = 1.0,
    ) -> None:
        if not 0 < target_acceptance < 1:
            raise ValueError(
                f"target_acceptance should lie between 0 and 1; got {target_acceptance}"
            )
        self.step_size = step_size
        self.max_depth = max_depth
        self.temperature = temperature
        self.warm_up = warm_up
        self.mass = mass
        self.target_acceptance = target_acceptance
        kept: Mass = "fixed" if mass == "unit" else mass
        self.adaptation = WarmUp(warm_up, target=target_acceptance, mass=kept)
        self.carries = Adapted._fields
        self.implied_temperature = temperature
        self.unknown_law = "the chains adapt their steps, unless warm_up is 0" * bool(warm_up)

    def stationary_variance(self, scale: float) -> float | None:
        """Return T s², the variance of its samples on E(x) = x²/(2s²), s = scale: unbiased.

        None with a warm-up, in which exp(-E/T) is not exactly invariant.
        """
        return None if self.warm_up else self.temperature * scale**2

    def init(
        self,
        energy: Energy,
        x: Tensor,
        generator: Generator | None = None,
        carried: Carried | None = None,
    ) -> NUTSState:
        """Begin at x with what the chains carry, or a step size that suits them there."""
        values, score = energy_and_score(energy, x)
        size: Tensor | float = self.step_size or 1.0
        if self.step_size is None and _all_begin(carried):
            xi = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            size = self._first_step(energy, x, values, score, xi)
        return NUTSState(x, values, score, *self.adaptation.begin(x, carried, size))

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, Tensor]:
        """Draw ξ ~ N(0, I), of x's shape, and uniform numbers, float64 (chains, max_depth, 3).

        Three for each doubling: its direction, the choice of its subtree, and that of all its
        leaves, as `trajectory.grow` reuses a uniform number.
        """
        uniform = (len(x), self.max_depth, 3)
        return (
            torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),
            torch.rand(uniform, generator=generator, device=x.device, dtype=torch.float64),
        )

    def step(
        self, energy: Energy, state: NUTSState, noise: tuple[Tensor, ...]
    ) -> tuple[NUTSState, NUTSInfo]:
        """Double the path until it turns, and move to one of its points."""
        xi, uniform = noise
        x, score = state.x.flatten(1), state.score.flatten(1)
        scale = state.scale[0] if self.mass == "dense" else state.scale
        zeros = torch.zeros_like(state.energy)
        q = math.sqrt(self.temperature) * xi.flatten(1)
        begin = Phase(x, q, whiten(scale, score))
        ends = (begin, begin)  # the earliest and the latest point of the path
        size, start = state.step_size[:, None], state.energy + 0.5 * q.square().sum(1)
        course = Course(size, scale, start, tuple(state.x.shape[1:]), self.temperature)
        choice, log_weight, total = Choice(x, state.energy, score, zeros), zeros, q.clone()
        going, divergent, most = zeros == 0, zeros != 0, self._most(state.taken)
        acceptance, leaves, depths = (zeros.clone() for _ in range(3))
        for depth in range(self.max_depth):
            forwards, passing, uniforms = (part.clone() for part in uniform[:, depth].unbind(1))
            ahead = forwards < 0.5
            near, far = chosen(ahead, ends[1], ends[0]), chosen(ahead, ends[0], ends[1])
            course = course._replace(step=torch.where(ahead[:, None], size, -size))
            begun = Grown(
                near, choice, zeros - math.inf, uniforms, going, divergent, acceptance, leaves
            )
            grown, span = subtree(self, energy, course, begun, depth)
            divergent, acceptance, leaves = grown.divergent, grown.acceptance, grown.leaves
            whole = grown.going  # its subtree neither turned nor diverged
            passes = whole & (passing.log() < grown.log_weight - log_weight)
            choice = chosen(passes, grown.choice, choice)
            log_weight = torch.where(
                whole, torch.logaddexp(log_weight, grown.log_weight), log_weight
            )
            total, turned = self.joined(energy, Span(far.q, near.q, total), span)
            ends = chosen(ahead, far, grown.end), chosen(ahead, grown.end, far)
            depths = depths + whole
            going = whole & ~turned & (depth + 1 < most)
            if not any_left(going):
                break
        count = leaves.clamp(min=1)
        info = NUTSInfo(
            state.energy,
            acceptance / count,
            depths,
            leaves,
            divergent.to(zeros.dtype),
            state.step_size,
            choice.error,
        )
        moved = state._replace(
            x=choice.x.view(state.x.shape),
            energy=choice.energy,
            score=choice.score.view(state.x.shape),
        )
        adapted = Adapted(*state[3:])
        if self.warm_up:
            adapted = self.adaptation.after(
                adapted, moved.x, info.acceptance, moved.energy.isfinite(), moved.score
            )
        else:
            adapted = adapted._replace(taken=adapted.taken + 1)
        return NUTSState(*moved[:3], *adapted), info

    def leaf(self, energy: Energy, course: Course, grown: Grown) -> Grown:
        """Grow a leaf."""
        return grow(energy, course, grown)

    def two_leaves(self, energy: Energy, course: Course, grown: Grown) -> tuple[Grown, Span]:
        """Grow two leaves."""
        return grow_two(energy, course, grown)

    def joined(self, energy: Energy, before: Span, after: Span) -> tuple[Tensor, Tensor]:
        """Return the sum of two spans, and whether they turn."""
        return join(before, after)

    def _most(self, taken: Tensor) -> Tensor:
        """Return how often the paths of the next step may double, (chains,)."""
        most = torch.full_like(taken, self.max_depth)
        ends = [self.adaptation.buffer, *self.adaptation.ends]
        for end, depth in zip(ends, _ROUGH, strict=False):
            most = torch.where(taken < end, most.clamp(max=depth), most)
        return most

    def _first_step(
        self, energy: Energy, x: Tensor, values: Tensor, score: Tensor, xi: Tensor
    ) -> Tensor:
        """Return the power of 2 where one leapfrog step's mean acceptance crosses ½."""
        size, going = x.new_ones(()), values.isfinite().any()
        p, kinetic = math.sqrt(self.temperature) * xi, 0.5 * self.temperature * xi.square()

        def keeps_half(size: Tensor) -> Tensor:
            half = p + 0.5 * size * score
            end, slope = energy_and_score(energy, x + size * half)
            after = 0.5 * (half + 0.5 * size * slope).square() - kinetic
            ratio = (values - end - after.flatten(1).sum(1)) / self.temperature
            each = torch.where(ratio.isnan(), 0.0, ratio.clamp(max=0).exp())
            return each.sum() > 0.5 * values.isfinite().sum()

        up = keeps_half(size)
        for _ in range(_DOUBLINGS):
            size = torch.where(going, torch.where(up, 2 * size, size / 2), size)
            going = going & (keeps_half(size) == up)
            if not any_left(going):
                break
        return size


def _all_begin(carried: Carried | None) -> bool:
    """Whether no chain carries a step size, which all would take."""
    if carried is None or not carried.fields:
        return True
    return carried.fresh is not None and any_left(carried.fresh.all())
