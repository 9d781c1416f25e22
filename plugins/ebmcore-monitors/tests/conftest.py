"""Fixtures: views of runs with analytic energies and data of known densities."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
from torch import Generator, Tensor, nn

from ebmcore import Energy, Kernel, RunView, Trace, energy_and_score, sample_chain

CENTRES = torch.tensor([[0.0, 0.0], [2.0, 2.0], [-2.0, 2.0], [2.0, -2.0], [-2.0, -2.0]])


class Mixture(nn.Module):
    """Gaussians of equal weight; as an energy, -log_prob and a constant."""

    def __init__(self, centres: Tensor = CENTRES, sd: float = 0.3, constant: float = 0.0) -> None:
        super().__init__()
        self.centres = nn.Parameter(centres)
        self.sd = sd
        self.constant = constant

    def log_prob(self, x: Tensor) -> Tensor:
        k, d = self.centres.shape
        square = ((x[:, None] - self.centres.detach()) ** 2).sum(-1)
        log_norm = math.log(k) + d / 2 * math.log(2 * math.pi * self.sd**2)
        return torch.logsumexp(-square / (2 * self.sd**2), 1) - log_norm

    def draw(self, n: int, seed: int = 0) -> Tensor:
        g = torch.Generator().manual_seed(seed)
        k, d = self.centres.shape
        centre = self.centres.detach()[torch.randint(k, (n,), generator=g)]
        return centre + self.sd * torch.randn(n, d, generator=g)

    def forward(self, x: Tensor) -> Tensor:
        return self.constant - self.log_prob(x) + 0.0 * self.centres.sum()


class Squares:
    """Uniform on two squares of side 1, at (0, 0) and (1.7, 1.7): a density with jumps."""

    calls = 0

    def log_prob(self, x):
        self.calls += 1
        inside = torch.stack([((x >= a) & (x <= a + 1)).all(1) for a in (0.0, 1.7)]).any(0)
        return torch.where(inside, -math.log(2), -torch.inf)

    def draw(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        corner = 1.7 * torch.randint(2, (n, 1), generator=g)
        return corner + 0.001 + 0.998 * torch.rand(n, 2, generator=g)


class State(NamedTuple):
    x: Tensor


class Info(NamedTuple):
    score_norm: Tensor


class Langevin(Kernel):
    """Langevin at step size 0.1 and temperature ½."""

    implied_temperature = 0.5

    def init(self, energy: Energy, x: Tensor) -> State:
        return State(x)

    def noise(self, x: Tensor, generator: Generator | None) -> tuple[Tensor]:
        return (torch.randn(x.shape, generator=generator, dtype=x.dtype),)

    def step(self, energy: Energy, state: State, noise: tuple[Tensor, ...]) -> tuple[State, Info]:
        _, score = energy_and_score(energy, state.x)
        x = state.x + 0.1 * score + math.sqrt(2 * 0.1 * 0.5) * noise[0]
        return State(x), Info(score.flatten(1).norm(dim=1))


class Warnings(list[str]):
    """The warnings of a monitor; `about(text)` returns those that contain a text."""

    def about(self, text: str) -> list[str]:
        return [message for message in self if text in message]


@pytest.fixture
def warned() -> Warnings:
    return Warnings()


@pytest.fixture
def mixture() -> Mixture:
    return Mixture()


@pytest.fixture
def make_view(warned: Warnings) -> Callable[..., RunView]:
    def make(energy: Any, data: Tensor, **known: Any) -> RunView:
        known.setdefault("held_out", data[:0])
        generator = torch.Generator().manual_seed(1)
        if "draw" in known and "walk" not in known:  # chains that jump from event to event
            known["walk"] = lambda n, k, thin: Trace(
                data[torch.randint(len(data), (k // thin, n), generator=_seeded(3))], None
            )
        return RunView(energy=energy, data=data, generator=generator, warn=warned.append, **known)

    return make


@pytest.fixture
def at_data(make_view: Callable[..., RunView]) -> Callable[..., RunView]:
    """Make the view of a run of Langevin steps that trains from the data, `chains: data`.

    Its samples begin uniformly over the data's range.
    """

    def make(
        energy: Any, data: Tensor, *, step_size: float, n_steps: int, seed: int = 0
    ) -> RunView:
        generator = _seeded(seed)
        low, high = data.amin(0), data.amax(0)

        def step(energy: Energy, x: Tensor, generator: Generator | None) -> Tensor:
            noise = torch.randn(x.shape, generator=generator)
            return x + step_size * energy_and_score(energy, x)[1] + math.sqrt(2 * step_size) * noise

        def walk(n: int, steps: int, thin: int, as_trained: bool = False) -> Trace:
            u = torch.rand(n, data.shape[1], generator=generator)
            x = data[:n] if as_trained else low + (high - low) * u
            return sample_chain(
                step, energy, x, n_steps=steps, thin=thin, generator=generator, trace=True
            )[1]

        def draw(n: int, steps: int | None) -> Tensor:
            steps = steps or 10 * n_steps
            return walk(n, steps, steps).x[-1]

        return make_view(energy, data, held_out=data, draw=draw, walk=walk, n_steps=n_steps)

    return make


@pytest.fixture
def fooled() -> Callable[[RunView], RunView]:
    """Make a view whose samples begin at the data, as in training."""

    def change(view: RunView) -> RunView:
        def draw(n: int, n_steps: int | None) -> Tensor:
            steps = n_steps or 10 * view.n_steps
            return view.trace(n, steps, steps, as_trained=True).x[-1]

        return replace(view, draw=draw)

    return change


@pytest.fixture
def new_mixture() -> type[Mixture]:
    return Mixture


@pytest.fixture
def squares() -> Squares:
    return Squares()


@pytest.fixture
def view(make_view: Callable[..., RunView], mixture: Mixture) -> RunView:
    """A run at step 40 whose sampler draws from the data's own density."""

    def draw(n: int, n_steps: int) -> Tensor:
        return mixture.draw(n, 7)

    return make_view(mixture, mixture.draw(2000), draw=draw, step=40, epoch=2.0)


@pytest.fixture
def langevin() -> Langevin:
    return Langevin()


def _seeded(seed: int) -> Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def seeded() -> Callable[[int], Generator]:
    return _seeded


@pytest.fixture
def normal() -> Callable[[int, int, int], Tensor]:
    """Draws N(0, I), (n, d), from a seed."""
    return lambda n, d, seed: torch.randn(n, d, generator=_seeded(seed), dtype=torch.float64)


@pytest.fixture
def first() -> Callable[[int, int], Tensor]:
    """The true labels, (1, n + m): n points of x, then m of y."""
    return lambda n, m: (torch.arange(n + m) < n)[None]
