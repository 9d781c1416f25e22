"""Views of runs that never ran: analytic energies, data from known laws."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ebmcore import RunView

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


class Warnings(list[str]):
    """Collects what a monitor warns of; `about(text)` are the ones that hold a text."""

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
        return RunView(energy=energy, data=data, generator=generator, warn=warned.append, **known)

    return make


@pytest.fixture
def new_mixture() -> type[Mixture]:
    return Mixture
