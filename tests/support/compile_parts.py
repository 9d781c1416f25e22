"""Small parts to compile: kernels that draw in every way, losses that can't be traced."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebmcore import Chains, Kernel, Sample, Start, energy_and_score


class Bowl(nn.Module):
    """E(x) = ½ w·(x² through tanh and a dropout) + ½ ‖x‖²: smooth, and its weights matter."""

    def __init__(self, dropout: float = 0.0, width: int = 4) -> None:
        super().__init__()
        self.inner = nn.Linear(2, width)
        self.dropout = nn.Dropout(dropout)
        self.outer = nn.Linear(width, 1)

    def forward(self, x):
        hidden = self.dropout(torch.tanh(self.inner(x)))
        return self.outer(hidden).squeeze(1) + 0.5 * x.square().sum(1)


class State(NamedTuple):
    x: Tensor


class Info(NamedTuple):
    energy: Tensor


class Ula(Kernel):
    """x + h s(x) + √(2h) ξ."""

    def __init__(self, step_size=0.05):
        self.step_size = step_size

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device),)

    def step(self, energy, state, noise):
        values, score = energy_and_score(energy, state.x)
        x = state.x + self.step_size * score + (2 * self.step_size) ** 0.5 * noise[0]
        return State(x), Info(values)


class ColdLangevin(Kernel):
    """x + 0.3 s(x) + 0.05 ξ: an end point tells which minimum, or which mask, its chain had."""

    def init(self, energy, x):
        return Sample(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator),)

    def step(self, energy, state, noise):
        score = energy_and_score(energy, state.x)[1]
        return Sample(state.x + 0.3 * score + 0.05 * noise[0]), None


class Long(Ula):
    """A step that says that it is a long loop."""

    long_step = True


class Peeks(Ula):
    """Noise that depends on where the chains are, which the contract doesn't allow."""

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator) * x.square().sum().sqrt(),)


class Breaks(Ula):
    """A step with a look at a number."""

    def step(self, energy, state, noise):
        if state.x.sum().item() > 1e9:
            noise = (noise[0] * 2,)
        return super().step(energy, state, noise)


class Moving(NamedTuple):
    x: Tensor
    momentum: Tensor
    taken: Tensor


class Momentum(Ula):
    """A kernel that carries a momentum, and a count of its steps as integers."""

    carries = ("momentum", "taken")

    def init(self, energy, x, n_steps, carried):
        taken = carried.or_new("taken", torch.zeros(len(x), dtype=torch.int64))
        return Moving(x, carried.or_new("momentum", 0.1 * n_steps * x), taken)

    def step(self, energy, state, noise):
        values, score = energy_and_score(energy, state.x)
        momentum = 0.9 * state.momentum + 0.1 * score + 0.3 * noise[0]
        return Moving(state.x + 0.1 * momentum, momentum, state.taken + 1), Info(values)


class DrawnMomentum(Momentum):
    """The same, with momenta that `init` draws."""

    def init(self, energy, x, generator, carried):
        state = super().init(energy, x, 1, carried)
        new = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return state._replace(momentum=carried.or_new("momentum", new))


class OwnMomentum:
    """A sampler that takes its steps itself, and carries a momentum."""

    def sample(self, energy, x, n_steps, generator, carried):
        momentum = carried.or_new("momentum", torch.zeros_like(x))
        for _ in range(n_steps):
            _, score = energy_and_score(energy, x)
            noise = torch.randn(x.shape, generator=generator)
            momentum = 0.9 * momentum + 0.1 * score + 0.3 * noise
            x = x + 0.1 * momentum
        return Sample(x, None, {"momentum": momentum})


class Own:
    """A sampler that takes its steps itself, and draws as it goes."""

    def sample(self, energy, x, n_steps, generator):
        for _ in range(n_steps):
            _, score = energy_and_score(energy, x)
            x = x + 0.05 * score + 0.3 * torch.randn(x.shape, generator=generator)
        return x


class Kept(Chains):
    """The first of a few chains, in turn."""

    def __init__(self):
        self.x = torch.linspace(-1, 1, 32).view(16, 2)

        self.carried = {}

    def start(self, x, generator):
        x = self.x[: len(x)] + 0.01 * torch.randn(x.shape, generator=generator)
        fresh = torch.arange(len(x)) % 4 == 0 if self.carried else None
        return Start(x, carried=self.carried, fresh=fresh)

    def keep(self, end):
        self.x = end.x.clone()
        self.carried = dict(end.carried)


def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()


def denoising(energy, x, generator):
    """Second order, with draws of two kinds."""
    level = 0.1 + 0.1 * torch.randint(2, (len(x), 1), generator=generator)
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    noised = (x + level * noise).requires_grad_()
    (gradient,) = torch.autograd.grad(energy(noised).sum(), noised, create_graph=True)
    return (level * gradient - noise).square().mean()


denoising.order = 2


def looks(energy, x):
    value = energy(x).mean()
    return value * 2 if value.item() > 1e9 else value


def growing(energy, x, step):
    return energy(x).mean() * (1 + step)


def of_chains(energy, x, x_neg, chains):
    return gap(energy, x, x_neg) + 0 * chains.x.sum()


def of_values(energy, x, generator):
    return energy(torch.normal(x, torch.ones_like(x), generator=generator)).mean()


class Switch:
    """A loss that turns into another one, or fails, when somebody says so."""

    def __init__(self):
        self.mode = "first"

    def __call__(self, energy, x):
        if self.mode == "broken":
            raise KeyError("broken on purpose")
        return energy(x).square().mean() * (2.0 if self.mode == "second" else 1.0)
