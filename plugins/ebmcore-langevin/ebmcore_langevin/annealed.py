"""Annealing: a kernel whose law changes within a run, by temperature, by noise level or by both.

The law of step j = 1, …, n is exp(-β_j E(x)), β_j = 1/T_j, which goes from 1/T_first to 1/T_last as
j/n goes from 0 to 1. The steps' log weight

    log w = Σ_j (β_{j-1} - β_j) E(x_{j-1})

says what the chains' hurry costs: chains that begin at draws of exp(-E/T_first) have
𝔼[w] = Z(1/T_last)/Z(1/T_first), for any kernel that leaves each exp(-β_j E) invariant.
Source: Jarzynski 1997, "Nonequilibrium equality for free energy differences"; Neal 2001, "Annealed
importance sampling".

With an energy E(x, t) of L noise levels σ_0 > … > σ_{L-1}, step j (from 0) uses level ⌊j L/n⌋.
Source: Song and Ermon 2019, "Generative modeling by estimating gradients of the data distribution",
algorithm 1.
"""

from __future__ import annotations

import math
from collections import namedtuple
from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ebmcore import (
    AtTemperature,
    Binary,
    Carried,
    Categorical,
    Energy,
    Kernel,
    PositiveFloat,
    Real,
    Space,
    StepSize,
    given,
    init_state,
)


class AnnealedState(NamedTuple):
    """The state of the chains; a field `kernel_NAME` follows for each that the kernel carries."""

    x: Tensor  # (chains, *event)
    taken: Tensor  # (chains,), integer: the steps taken since the run of the kernel began
    steps: Tensor  # (chains,), integer: the steps of the run
    log_weight: Tensor  # (chains,), nats


class AnnealedInfo(NamedTuple):
    """Diagnostics of one step through temperatures, which monitors may log."""

    energy: Tensor  # (chains,), nats, at temperature 1, where the step began
    temperature: Tensor  # (chains,), T of the step
    log_weight: Tensor  # (chains,), nats, of all steps of the run so far


class AdjustedInfo(NamedTuple):
    """The same of a kernel that accepts and rejects."""

    energy: Tensor  # (chains,), nats, at temperature 1, where the step began
    temperature: Tensor  # (chains,), T of the step
    log_weight: Tensor  # (chains,), nats, of all steps of the run so far
    acceptance: Tensor  # (chains,), the kernel's own


class _Levels(nn.Module):
    """E(x, t) = ½‖x‖²/(1 + t²), for `ebmcore.testing`."""

    sigmas: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sigmas", torch.tensor([1.0, 0.5, 0.25]))

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,)."""
        variance = 1 + (self.sigmas[-1] if t is None else t).square()
        return 0.5 * x.square().flatten(1).sum(1) / variance


class Annealed(Kernel):
    """A kernel whose law goes, within a run, from a wide one to that of the energy.

    With `temperatures`, such as [20, 1], it goes from exp(-E/20) to exp(-E): any energy and any
    kernel, of any event space. The info has the log weight of each chain's way; if the chains begin
    at draws of exp(-E/T_first), the mean of exp(log_weight) is the ratio of the last normalising
    constant to the first, whatever the number of steps, and chains weighted by it are draws of the
    last law. Of a kernel with a bias, such as `langevin`, that holds up to the bias. The weights
    cost one evaluation of the energy a step.

    Without, the energy has noise levels, `sigmas` (levels,), from the largest to the smallest, and
    takes t, as `noise_conditional` does; with both, E(x, t)/T. Chains that begin at noise as wide
    as the largest level (`chains: {type: noise, kind: normal, scale: …}`) end near the data.

    It isn't invariant for any one density: it gets from noise to the last law, the nearer the more
    steps there are. After the run's steps it stays there. What the kernel carries, such as a
    momentum, goes on from step to step, in units of the scaled x.

    Shapes: x (chains, *event). Raises ValueError when the kernel's `step_size` is `auto`, when it
    draws in `init` something that it doesn't carry, and when there are neither temperatures nor
    levels.
    Source: Neal 2001, "Annealed importance sampling"; Song and Ermon 2019, "Generative modeling by
    estimating gradients of the data distribution", algorithm 1.

    Args:
        kernel: The kernel to run, such as `langevin`; its keys in units of x (a step size, bounds)
            hold at the last temperature and the smallest level.
        rescale: Whether the kernel of real events runs on x σ_min/σ and x √(T_last/T), which makes
            a Langevin step size grow as σ² and as T; set it to false for a kernel with bounds.
        temperatures: T from the first to the last, two or more; null for noise levels alone.
        schedule: How T goes between them: geometric, evenly in log T; linear, evenly in 1/T; steps,
            each of them for its share of the run.
    """

    # in a config; once built, those of its kernel
    spaces: ClassVar[tuple[type[Space], ...]] = (Real, Binary, Categorical)
    check_params: ClassVar[dict[str, object]] = {"kernel": {"type": "langevin"}}

    check_energy = _Levels
    anneals = True

    def __init__(
        self,
        kernel: Kernel,
        *,
        rescale: bool = True,
        temperatures: list[PositiveFloat] | None = None,
        schedule: Literal["geometric", "linear", "steps"] = "geometric",
    ) -> None:
        if isinstance(getattr(kernel, "step_size", None), StepSize):
            raise ValueError("no run fits a step_size at several noise levels; give a number")
        if hasattr(kernel, "sample"):
            raise ValueError(
                f"{type(kernel).__name__} runs its steps in its own `sample`, so its law can't "
                "change between them; take a kernel with init, noise and step"
            )
        if temperatures is not None and not (
            len(temperatures) > 1 and all(0 < t < math.inf for t in temperatures)
        ):
            raise ValueError(
                f"temperatures should be two positive numbers or more; got {temperatures}"
            )
        self.kernel = kernel
        self.rescale = rescale
        self.temperatures = temperatures
        self.schedule = schedule
        self.spaces = getattr(kernel, "spaces", (Real,))  # type: ignore[misc]
        if temperatures is not None:
            self.steps_per_graph = 8  # compiling more takes minutes
        self.long_step = getattr(kernel, "long_step", False)
        self.fields = tuple(getattr(kernel, "carries", ()))
        self.state = _state_type(self.fields)
        last = 1.0 if temperatures is None else temperatures[-1]
        own = getattr(kernel, "implied_temperature", None)
        self.own_temperature = own or 1.0
        self.implied_temperature = None if own is None else last * own
        what = "noise levels" if temperatures is None else "temperatures"
        changes = f"its {what} fall within a run, so that it leaves no one density unchanged"
        self.unknown_law = "; ".join(filter(None, (changes, getattr(kernel, "unknown_law", ""))))

    def check(self, energy: Energy, x: Tensor) -> None:
        """Raise ValueError when there is nothing to anneal, or its kernel can't move there."""
        none = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        law = self._law(energy, x, none, none + 1)
        if hasattr(self.kernel, "check"):
            self.kernel.check(law, x)

    def init(
        self, energy: Energy, x: Tensor, generator: Generator | None, n_steps: int
    ) -> AnnealedState:
        """Begin at x, at the first temperature and the largest level."""
        taken = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        steps = torch.full_like(taken, n_steps)
        rows: list[Tensor] = []
        if self.fields:
            law = self._law(energy, x, taken, steps)
            begun: Any = init_state(self.kernel, law, _over(x, law.scale), generator=generator)
            rows = [getattr(begun, name) for name in self.fields]
        state: AnnealedState = self.state(x, taken, steps, taken.to(_float(x)), *rows)
        return state

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw the inner kernel's noise."""
        return self.kernel.noise(x, generator)

    def step(
        self, energy: Energy, state: AnnealedState, noise: tuple[Tensor, ...]
    ) -> tuple[AnnealedState, Any]:
        """Take one step of the inner kernel, at the temperature and the level of this step."""
        law = self._law(energy, state.x, state.taken, state.steps)
        held = Carried({name: getattr(state, _held(name)) for name in self.fields}, None)
        begun = init_state(self.kernel, law, _over(state.x, law.scale), carried=held)
        inner, info = self.kernel.step(law, begun, noise)
        x = inner.x if law.scale is None else _wide(law.scale, inner.x) * inner.x
        moved = state._replace(x=x, taken=state.taken + 1)
        if self.fields:
            moved = moved._replace(**{_held(name): getattr(inner, name) for name in self.fields})
        if law.beta is None:
            return moved, info
        with torch.no_grad():
            values = law.energy(state.x)
            before = self._law(energy, state.x, state.taken - 1, state.steps)
            same = before.energy is law.energy  # else the levels differ
            fell = before.beta * (values if same else before.energy(state.x)) - law.beta * values
            log_weight = state.log_weight + fell / self.own_temperature
        moved = moved._replace(log_weight=log_weight)
        own = AnnealedInfo(values, 1 / law.beta, log_weight)
        kept = getattr(info, "acceptance", None)
        return moved, own if kept is None else AdjustedInfo(*own, kept)

    def _law(self, energy: Energy, x: Tensor, taken: Tensor, steps: Tensor) -> Any:
        """Return the energy of the step that follows `taken` others; -1: of where chains begin."""
        sigmas = getattr(energy, "sigmas", None)
        if sigmas is None and self.temperatures is None:
            raise ValueError(
                "annealed needs an energy with noise levels, `sigmas`, such as noise_conditional, "
                "or temperatures, such as [20, 1]"
            )
        beta = scale = None
        if sigmas is not None:
            number = (taken.clamp(min=0) * len(sigmas) // steps).clamp(max=len(sigmas) - 1)
            level = sigmas.to(x)[number]
            scale = level / sigmas[-1].to(x) if self.rescale else torch.ones_like(level)
            energy = given(energy, t=level)
        if self.temperatures is not None:
            beta = self._beta(taken.to(_float(x)), steps)
            if self.rescale and self.spaces == (Real,):
                wide = (1 / (beta * self.temperatures[-1])).sqrt().to(x)
                scale = wide if scale is None else wide * scale
        return AtTemperature(energy, beta, scale)

    def _beta(self, taken: Tensor, steps: Tensor) -> Tensor:
        """Return 1/T of the step that follows `taken` others, (chains,)."""
        assert self.temperatures is not None
        even = self.schedule == "geometric"
        ends = [-math.log(t) if even else 1 / t for t in self.temperatures]
        if self.schedule == "steps":
            place = (taken.clamp(min=0) * len(ends)).div(steps, rounding_mode="floor")
        else:
            place = (taken + 1) / steps * (len(ends) - 1)
        value = torch.full_like(taken, ends[0])
        for i, (one, other) in enumerate(pairwise(ends)):
            value = value + (other - one) * (place - i).clamp(0, 1)
        return value.exp() if even else value


def _state_type(carries: tuple[str, ...]) -> Any:
    """Return the type of the state of a kernel that carries these fields."""
    if not carries:
        return AnnealedState
    return namedtuple("AnnealedState", [*AnnealedState._fields, *map(_held, carries)])


def _held(name: str) -> str:
    """Return the name of a field that the kernel carries, in the state."""
    return f"kernel_{name}"


def _float(x: Tensor) -> torch.dtype:
    return x.dtype if x.is_floating_point() else torch.get_default_dtype()


def _wide(scale: Tensor, x: Tensor) -> Tensor:
    return scale.view(-1, *(1 for _ in x.shape[1:]))


def _over(x: Tensor, scale: Tensor | None) -> Tensor:
    return x if scale is None else x / _wide(scale, x)
