"""All events of few bits or categories, and energies whose law over them is known exactly."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import nn


def events(k, shape):
    """Return all events of k values for each number, float64, (k^n, *shape)."""
    numbers = torch.Size(shape).numel()
    rows = list(itertools.product(range(k), repeat=numbers))
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, *shape)


def law(energy, x):
    """Return exp(-E)/Z over all events."""
    with torch.no_grad():
        return (-energy(x)).softmax(0)


class Table(nn.Module):
    """An energy for each event of whole numbers below k: any law whatever."""

    def __init__(self, k, numbers, seed=0):
        super().__init__()
        values = torch.randn(k**numbers, generator=torch.Generator().manual_seed(seed))
        self.values = nn.Parameter(2 * values.double())
        self.places = k ** torch.arange(numbers - 1, -1, -1)

    def forward(self, x):
        return self.values[(x.flatten(1).long() * self.places).sum(1)]


class Net(nn.Module):
    """A random network of bits, or of the categories of a space one-hot."""

    def __init__(self, numbers, space=None, seed=0):
        super().__init__()
        self.space, self.numbers = space, numbers
        inputs = numbers * (space.k if space else 1)
        sizes, g = ((inputs, 16), (16, 1)), torch.Generator().manual_seed(seed)
        first, second = (torch.randn(size, generator=g).double() for size in sizes)
        self.first, self.second = nn.Parameter(first), nn.Parameter(second)

    def forward(self, x):
        x = self.space.one_hot(x, (self.numbers,), self.first.dtype) if self.space else x
        return (torch.tanh(x.flatten(1) @ self.first) @ self.second)[:, 0]


@pytest.fixture
def seeded():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def exact():
    """Offer all events, the law over them, and an energy that is a table."""
    return SimpleNamespace(events=events, law=law, Table=Table, Net=Net)
