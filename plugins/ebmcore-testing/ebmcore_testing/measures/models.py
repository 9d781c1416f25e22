"""Energies whose answers are known: what samplers, losses and monitors are tried on."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from ebmcore import Energy, Kernel, energy_and_score


class Gaussian(nn.Module):
    """E(x) = ½ Σ ((x - mean) / scale)², its mean and log scale to be learnt."""

    def __init__(self, event_shape: tuple[int, ...], scale: float = 1.0, mean: float = 0.0) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.full(event_shape, mean))
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        self.part = nn.Identity()  # a child, whose mode must come back too

    def forward(self, x: Tensor) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,)."""
        inner: Tensor = self.part((x - self.mean) / self.log_scale.exp())
        return 0.5 * inner.square().flatten(1).sum(1)

    def at(self, noise: Tensor) -> Tensor:
        """Return the draws of exp(-E) that N(0, I) noise makes, with the parameters' graph."""
        return self.mean + self.log_scale.exp() * noise

    def turned(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the draws that two noises make, mixed by an angle that the parameters turn."""
        angle = 0.2 * (self.log_scale + self.mean.sum())  # as slowly as a small step would
        return self.at(angle.cos() * one + angle.sin() * other)

    @torch.no_grad()
    def draw(self, n: int, generator: Generator | None) -> Tensor:
        """Draw n events of exp(-E) exactly."""
        return self.at(
            torch.randn((n, *self.mean.shape), generator=generator, dtype=self.mean.dtype)
        )


class TwoWells(nn.Module):
    """E(x) = -log of two Gaussians of weight 0.7 and 0.3 at -1.5 and 1.5 scales, in each place."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,)."""
        z = x / self.scale
        logs = torch.stack([-0.5 * (z + 1.5).square(), -0.5 * (z - 1.5).square()])
        weights = torch.tensor([0.7, 0.3], dtype=x.dtype, device=x.device).log()
        logs = logs + weights.view(2, *(1 for _ in x.shape))
        return -torch.logsumexp(logs, 0).flatten(1).sum(1)

    @torch.no_grad()
    def draw(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draw events of exp(-E) exactly."""
        left = torch.rand(shape, generator=generator, dtype=torch.float64) < 0.7
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        return self.scale * (noise + torch.where(left, -1.5, 1.5))


class Shifted(nn.Module):
    """Another energy and a constant; its other methods are the other's own."""

    def __init__(self, energy: nn.Module, constant: float) -> None:
        super().__init__()
        self.energy = energy
        self.constant = constant

    def forward(self, *arguments: Any, **named: Any) -> Tensor:
        """Return E(x) + c, or E(x, t) + c."""
        shifted: Tensor = self.energy(*arguments, **named) + self.constant
        return shifted

    def __getattr__(self, name: str) -> Any:
        """Find what this module lacks on the energy."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("energy"), name)


class Overflowing(nn.Module):
    """An energy, by default a bowl, made infinite where an event's first number is over 50."""

    def __init__(self, energy: nn.Module | None = None) -> None:
        super().__init__()
        self.energy = energy
        self.differentiated = False  # whether anyone asked for its gradient

    def forward(self, x: Tensor, **conditions: Any) -> Tensor:
        """Return the energies, (batch, *event) -> (batch,); infinite with their gradients."""
        self.differentiated |= x.requires_grad and torch.is_grad_enabled()
        flat = x.flatten(1)
        infinite = torch.where(flat[:, :1] > 50, float("inf"), 1.0)
        bowl = 0.5 * (infinite * flat.square()).sum(1)
        return bowl if self.energy is None else bowl + self.energy(x, **conditions)

    def __getattr__(self, name: str) -> Any:
        """Find what this module lacks on the energy."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("energy"), name)


class ExactSampler:
    """A sampler that draws from one of these energies exactly, whatever the steps."""

    def sample(self, energy: Any, x: Tensor, n_steps: int, generator: Generator | None) -> Tensor:
        """Return as many draws as x has events."""
        draws: Tensor = energy.draw(len(x), generator)
        return draws


class ExactState(NamedTuple):
    """All that the next step needs."""

    x: Tensor  # (chains, *event)


class ExactKernel(Kernel):
    """A kernel each step of which is an exact draw from a Gaussian energy, wherever it begins.

    The draws are a function of the energy's parameters, with its graph for a `Differentiable` one.
    As in a sampler's step, two draws at nearly one place may have derivatives that differ: with a
    single noise, x = μ + sξ, equal places would have equal ones, which no estimator of a density's
    gradient could fail on.
    """

    def init(self, energy: Energy, x: Tensor) -> ExactState:
        """Begin at x."""
        return ExactState(x)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor, ...]:
        """Draw N(0, I) twice, of x's shape."""
        return torch.randn((2, *x.shape), generator=generator, dtype=x.dtype).unbind()

    def step(
        self, energy: Energy, state: ExactState, noise: tuple[Tensor, ...]
    ) -> tuple[ExactState, None]:
        """Forget where the chains are, and draw."""
        model: Any = energy
        while not isinstance(model, Gaussian):
            model = model.energy  # of a Shifted or a Differentiable one
        x = model.turned(*noise)
        return ExactState(x if getattr(energy, "keeps_graph", False) else x.detach()), None


class Descent(Kernel):
    """A kernel for energies that aren't known: a small step down the gradient, and noise."""

    def init(self, energy: Energy, x: Tensor) -> ExactState:
        """Begin at x."""
        return ExactState(x)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor]:
        """Draw N(0, I), of x's shape."""
        return (torch.randn(x.shape, generator=generator, dtype=x.dtype),)

    def step(
        self, energy: Energy, state: ExactState, noise: tuple[Tensor, ...]
    ) -> tuple[ExactState, None]:
        """Move by 0.01 s(x) + 0.1 N(0, I)."""
        score = energy_and_score(energy, state.x)[1]
        return ExactState(state.x + 0.01 * score + 0.1 * noise[0]), None


class Normal:
    """A dataset that knows its law: N(0, I)."""

    def __init__(self, entropy: float, x: Tensor) -> None:
        self.entropy = entropy  # in nats
        self.x = x  # (n, *event)

    def __call__(self) -> Tensor:
        """Return the points."""
        return self.x.clone()

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x), (n, *event) -> (n,)."""
        law = torch.distributions.Normal(0.0, 1.0)
        each: Tensor = law.log_prob(x.flatten(1))  # type: ignore[no-untyped-call] # torch's
        return each.sum(1)
