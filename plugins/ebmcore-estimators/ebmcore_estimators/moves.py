"""Moves: Markov transitions that leave p_β ∝ exp(-(1 - β) E₀ - β E) invariant.

    Hamiltonian   real events: leapfrog in the coordinates where the base is N(0, I)
    HeatBath      bits and categories: each number drawn anew given the others
    Stepped       any `ebmcore.Kernel` that leaves exp(-E) invariant

Hamiltonian and HeatBath are small and of this package's own: they keep both energies of each event,
so that a change of β costs no evaluation.

Source: Duane, Kennedy, Pendleton and Roweth 1987, "Hybrid Monte Carlo"; Geman and Geman 1984.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import torch
from torch import Generator, Tensor

from ebmcore import Energy, Kernel, Real, StepSize, energy_and_score, init_state
from ebmcore_estimators.bases import Base, Gaussian, Uniform
from ebmcore_estimators.jumps import Jump
from ebmcore_estimators.walkers import Walkers, at_beta, chosen

JITTER = (0.6, 1.2)  # of a step size, drawn for each move: no path is a period of the motion


class Move(Protocol):
    """A transition that leaves p_β invariant."""

    takes_step_size: bool
    jump: Jump | None  # a further transition before it, where the path has proposals

    def begin(self, x: Tensor) -> Walkers:
        """Evaluate both energies at x, (n, *event)."""

    def __call__(
        self,
        walkers: Walkers,
        beta: float,
        step_size: Tensor | None,
        scale: Tensor | None,
        generator: Generator | None,
    ) -> tuple[Walkers, Tensor]:
        """Return the walkers moved, and the acceptance of each, (n,)."""


class Hamiltonian:
    """Leapfrog steps from fresh momenta, kept with min(1, exp(-ΔH)).

    In z, where the base is N(0, I): z ← z + ε m p, p ← p + ε m s(z), with m the scale of each
    coordinate and s the score of p_β there. A proposal whose energy isn't finite is never kept.

    Args:
        energy: E.
        base: E₀, a Gaussian.
        leapfrog: Leapfrog steps, and gradients of E, of a move.
        jumps: Jumps before each move.
    """

    takes_step_size = True

    def __init__(self, energy: Energy, base: Gaussian, leapfrog: int, jumps: int = 0) -> None:
        self.energy = energy
        self.base = base
        self.leapfrog = leapfrog
        self.jump = Jump(energy, base, jumps) if jumps else None

    def begin(self, x: Tensor) -> Walkers:
        """Evaluate both energies at x, (n, *event)."""
        z = self.base.whitened(x)
        values, score = energy_and_score(self.energy, x)
        return Walkers(x, self.base.energy_of(z), values, z, self.base.pulled(score))

    @torch.no_grad()
    def __call__(
        self,
        walkers: Walkers,
        beta: float,
        step_size: Tensor | None,
        scale: Tensor | None,
        generator: Generator | None,
    ) -> tuple[Walkers, Tensor]:
        """Return the walkers moved, and the acceptance of each, (n,)."""
        z, score = walkers.z, walkers.score
        if z is None or score is None or step_size is None:
            raise TypeError("a Hamiltonian move needs walkers that it began, and a step size")
        draw = partial(torch.rand, generator=generator, device=z.device, dtype=z.dtype)
        low, high = JITTER
        size = step_size * (low + (high - low) * draw(()))
        size = (size if scale is None else size * scale).expand(z.shape[1])
        up, down = beta * size, (beta - 1) * size  # the score of p_β in z is β s - (1 - β) z
        momentum = torch.randn(z.shape, generator=generator, device=z.device, dtype=z.dtype)
        uniform = draw(len(z))
        p = momentum.addcmul(score, 0.5 * up).addcmul_(z, 0.5 * down)
        for step in range(self.leapfrog):
            z = torch.addcmul(z, p, size)
            x = self.base.at(z)
            values, of_x = energy_and_score(self.energy, x)
            score = self.base.pulled(of_x)
            half = 0.5 if step == self.leapfrog - 1 else 1.0
            p.addcmul_(score, half * up).addcmul_(z, half * down)
        end = Walkers(x, self.base.energy_of(z), values, z, score)
        gained = 0.5 * (p.square_().sum(1) - momentum.square_().sum(1))
        change = at_beta(end, beta) - at_beta(walkers, beta) + gained
        acceptance = torch.where(change.isfinite(), (-change).clamp(max=0).exp(), 0.0)
        return chosen(uniform < acceptance, end, walkers), acceptance


class WithoutScores:
    """The start of a move that keeps both energies, and no score."""

    takes_step_size = False
    jump: Jump | None = None

    def __init__(self, energy: Energy, base: Base) -> None:
        self.energy = energy
        self.base = base

    def begin(self, x: Tensor) -> Walkers:
        """Evaluate both energies at x, (n, *event)."""
        with torch.no_grad():
            return Walkers(x, self.base.energy(x), self.energy(x))


class HeatBath(WithoutScores):
    """Gibbs sampling in order: each number is drawn given all the others, once a move.

    A number costs k - 1 evaluations of E for each event, k the number of its values.

    Args:
        energy: E.
        base: E₀, uniform over bits or categories.
    """

    base: Uniform

    @torch.no_grad()
    def __call__(
        self,
        walkers: Walkers,
        beta: float,
        step_size: Tensor | None,
        scale: Tensor | None,
        generator: Generator | None,
    ) -> tuple[Walkers, Tensor]:
        """Return the walkers moved, and the acceptance of each, which is 1."""
        x, k = walkers.x.flatten(1).clone(), self.base.values
        n, sites = x.shape
        uniform = torch.rand((n, sites), generator=generator, device=x.device)
        target = walkers.target
        others = torch.arange(1, k, device=x.device).to(x.dtype)
        for site in range(sites):
            candidates = x[:, None].repeat(1, k - 1, 1)  # (n, k - 1, sites)
            candidates[:, :, site] = (x[:, site, None] + others) % k
            energies = self.energy(candidates.reshape(-1, *walkers.x.shape[1:]))
            energies = torch.cat([target[:, None], energies.reshape(n, k - 1)], 1)
            law = (-beta * energies).softmax(1)  # E₀ is the same for all values
            ahead = (uniform[:, site, None] >= law.cumsum(1)[:, :-1]).sum(1)
            x[:, site] = (x[:, site] + ahead.to(x.dtype)) % k
            target = energies.gather(1, ahead[:, None])[:, 0]
        moved = walkers._replace(x=x.reshape(walkers.x.shape), target=target)
        return moved, torch.ones_like(target)


class Between:
    """The energy (1 - β) E₀(x) + β E(x) of p_β, for a kernel: (n, *event) -> (n,).

    From a uniform base it offers the conditionals that E does: their log odds are β times those of
    E, on the same independent sites.
    """

    def __init__(self, base: Base, energy: Energy, beta: float) -> None:
        self.base = base
        self.target = energy
        self.beta = beta

    def __call__(self, x: Tensor) -> Tensor:
        """Return the energies."""
        return (1 - self.beta) * self.base.energy(x) + self.beta * self.target(x)

    def __getattr__(self, name: str) -> Any:
        """Return E's own conditionals, for `gibbs` with `scan: blocks`."""
        if name not in ("site_logits", "independent_sites") or not isinstance(self.base, Uniform):
            raise AttributeError(name)
        own = getattr(self.target, name)
        return own if name == "independent_sites" else lambda x: self.beta * own(x)


class Stepped(WithoutScores):
    """One step of a kernel on the energy of p_β, which the kernel leaves invariant.

    Raises ValueError when the kernel's law isn't exp(-E), such as that of a biased one, or of
    another temperature.

    Args:
        energy: E.
        base: E₀.
        kernel: Any kernel without a memory of its own: it begins anew at each β.
    """

    def __init__(self, energy: Energy, base: Base, kernel: Kernel) -> None:
        refuse_biased(kernel)
        super().__init__(energy, base)
        self.kernel = kernel

    def __call__(
        self,
        walkers: Walkers,
        beta: float,
        step_size: Tensor | None,
        scale: Tensor | None,
        generator: Generator | None,
    ) -> tuple[Walkers, Tensor]:
        """Return the walkers moved, and the acceptance of each, or 1 where it says none."""
        energy = Between(self.base, self.energy, beta)
        noise = self.kernel.noise(walkers.x, generator)
        state = init_state(self.kernel, energy, walkers.x, generator=generator)
        state, info = self.kernel.step(energy, state, noise)
        acceptance: Any = getattr(info, "acceptance", None)
        moved = self.begin(state.x.detach())
        return moved, torch.ones_like(moved.target) if acceptance is None else acceptance


def refuse_biased(kernel: Kernel) -> None:
    """Raise ValueError unless a kernel declares that it leaves exp(-E) invariant."""
    reason = getattr(kernel, "unknown_law", "")
    temperature = getattr(kernel, "implied_temperature", None)
    if isinstance(getattr(kernel, "step_size", None), StepSize):
        doubt = "has step_size: auto, which no run fits along a path, so give a number"
    elif reason:
        doubt = f"has no known law: {reason}"
    elif temperature is not None and temperature != 1:
        doubt = f"has temperature {temperature:g}"
    elif Real in getattr(kernel, "spaces", (Real,)) and not getattr(kernel, "unbiased", False):
        doubt = "doesn't say that it is unbiased, by `unbiased = True`"
    else:
        return
    raise ValueError(
        f"{type(kernel).__name__} {doubt}; a path to exp(-E) needs a kernel that leaves exp(-E) "
        "invariant, such as mala, hmc or gibbs"
    )
