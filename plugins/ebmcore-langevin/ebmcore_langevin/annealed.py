"""Annealing through noise levels: a kernel on E(x, t), with t falling over the steps of a run.

Step j of n uses level ⌊j L/n⌋ of the energy's L levels σ_0 > … > σ_{L-1}. With `rescale` the kernel
runs on z = x σ_{L-1}/σ, so that a Langevin step η at the smallest level is η (σ/σ_{L-1})² at
level σ. Source: Song and Ermon 2019, "Generative modeling by estimating gradients of the data
distribution", algorithm 1.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ebmcore import Energy, Kernel, StepSize, given, init_state


class AnnealedState(NamedTuple):
    """The state of the chains."""

    x: Tensor  # (chains, *event)
    taken: Tensor  # (chains,), integer: the steps taken since the run of the kernel began
    steps: Tensor  # (chains,), integer: the steps of the run


class AtLevel:
    """E(r z, t) as an energy of z: (chains, *event) -> (chains,)."""

    def __init__(self, energy: Energy, level: Tensor, ratio: Tensor) -> None:
        self.energy = given(energy, t=level)
        self.ratio = ratio
        self.keeps_graph = getattr(energy, "keeps_graph", False)

    def __call__(self, z: Tensor) -> Tensor:
        """Return the energies."""
        values: Tensor = self.energy(self.ratio * z)
        return values


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
    """A kernel on E(x, t) with noise levels t that fall, within a run, to the smallest.

    The energy has levels, `sigmas` (levels,), from the largest to the smallest, and takes t, as
    `noise_conditional` does. Chains that begin at noise as wide as the largest level (`chains:
    {type: noise, kind: normal, scale: …}`) end near the data. The kernel begins anew at each step,
    at its level, so it can't be one that carries a state from step to step, such as a momentum. It
    isn't invariant for any one density: it gets from noise to the smallest level's, the nearer the
    more steps there are. After the run's steps it stays at the smallest level.

    Shapes: x (chains, *event). Raises ValueError when the kernel carries a state or its
    `step_size` is `auto`, and when the energy has no levels.
    Source: Song and Ermon 2019, "Generative modeling by estimating gradients of the data
    distribution", algorithm 1.

    Args:
        kernel: The kernel to run, such as `langevin`; its keys in units of x (a step size, bounds)
            hold at the smallest level.
        rescale: Whether the kernel runs on x σ_min/σ, which makes a Langevin step size grow as σ²;
            set it to false for a kernel with bounds.
    """

    check_params: ClassVar[dict[str, object]] = {"kernel": {"type": "langevin"}}

    check_energy = _Levels
    anneals = True

    def __init__(self, kernel: Kernel, *, rescale: bool = True) -> None:
        if getattr(kernel, "carries", ()):
            raise ValueError(
                f"{type(kernel).__name__} carries {', '.join(kernel.carries)}, which would be lost "
                "at each level; take a kernel that carries nothing, such as langevin"
            )
        if isinstance(getattr(kernel, "step_size", None), StepSize):
            raise ValueError("no run fits a step_size at several noise levels; give a number")
        self.kernel = kernel
        self.rescale = rescale
        self.implied_temperature = getattr(kernel, "implied_temperature", None)
        levels = "its noise levels fall within a run, so that it leaves no one density unchanged"
        self.unknown_law = "; ".join(filter(None, (levels, getattr(kernel, "unknown_law", ""))))

    def init(self, energy: Energy, x: Tensor, n_steps: int) -> AnnealedState:
        """Begin at x, at the largest level."""
        taken = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        return AnnealedState(x, taken, torch.full_like(taken, n_steps))

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw the inner kernel's noise."""
        return self.kernel.noise(x, generator)

    def step(
        self, energy: Energy, state: AnnealedState, noise: tuple[Tensor, ...]
    ) -> tuple[AnnealedState, Any]:
        """Take one step of the inner kernel, at the level of this step."""
        sigmas = getattr(energy, "sigmas", None)
        if sigmas is None:
            raise ValueError(
                "annealed needs an energy with noise levels, `sigmas`, such as noise_conditional"
            )
        x = state.x
        number = (state.taken * len(sigmas) // state.steps).clamp(max=len(sigmas) - 1)
        level = sigmas.to(x)[number]
        scale = level / sigmas[-1].to(x) if self.rescale else torch.ones_like(level)
        ratio = scale.view(-1, *(1 for _ in x.shape[1:]))
        at_level = AtLevel(energy, level, ratio)
        inner, info = self.kernel.step(
            at_level, init_state(self.kernel, at_level, x / ratio), noise
        )
        return AnnealedState(ratio * inner.x, state.taken + 1, state.steps), info
