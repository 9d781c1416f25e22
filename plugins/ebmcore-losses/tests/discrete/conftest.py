"""All events of few bits or categories, and energies whose law over them is any whatever."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ebmcore import Binary, Categorical


class Table(nn.Module):
    """An energy for each event, (numbers,) whole numbers below k."""

    def __init__(self, k, numbers, seed=0):
        super().__init__()
        values = torch.randn(k**numbers, generator=torch.Generator().manual_seed(seed))
        self.values = nn.Parameter(values.double())
        self.places = k ** torch.arange(numbers - 1, -1, -1)

    def forward(self, x):
        return self.values[(x.flatten(1).long() * self.places).sum(1)]


def bits_or_categories(k, numbers):
    """Return the space, all its events, and a table's energies with their law."""
    space = Binary() if k == 2 else Categorical(k)
    x = torch.cartesian_prod(*[torch.arange(k)] * numbers)
    energy = Table(k, numbers)
    p = (-energy.values).softmax(0).detach()
    x = x.double() if k == 2 else x
    return SimpleNamespace(k=k, space=space, x=x, energy=energy, p=p, table=Table)


@pytest.fixture(params=[(2, 4), (3, 3)], ids=["bits", "categories"])
def lattice(request):
    return bits_or_categories(*request.param)
