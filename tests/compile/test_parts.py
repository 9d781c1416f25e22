"""A kernel's parts as graphs: the same points as eagerly, and eagerly where a part is no graph."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

import ebmcore
from ebmcore import energy_and_score
from ebmcore.compile.chains import CompiledKernel, compiling_pays
from ebmcore.compile.graph import unavailable
from ebmcore.sampling import Walk

pytestmark = pytest.mark.skipif(
    unavailable(torch.device("cpu")) is not None, reason="nothing can be compiled here"
)


class State(NamedTuple):
    x: Tensor


class Descends(ebmcore.Kernel):
    """Goes downhill until every chain is within 1 of the centre."""

    parts = ("part",)
    long_step = True
    waits = "it goes on until every chain is there"

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, dtype=x.dtype),)

    def step(self, energy, state, noise):
        x = state.x + 3 * noise[0]
        while ebmcore.any_left(x.square().sum(1) > 1):
            x = self.part(energy, x, torch.tensor(0.3, dtype=x.dtype))
        return State(x), None

    def part(self, energy, x, size):
        return x + size * energy_and_score(energy, x)[1]


class Peeks(Descends):
    def part(self, energy, x, size):
        return x if x.sum() > 1e9 else super().part(energy, x, size)


class Bowl(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0, dtype=torch.float64))

    def forward(self, x, y):
        return 0.5 * self.weight * (x - y).square().sum(1)


def walked(kernel, energy, compiled=False):
    x = torch.zeros(5, 2, dtype=torch.float64)
    device = torch.device("cpu")
    made = CompiledKernel(kernel, energy, every=True, device=device, backend="aot_eager")
    generator = torch.Generator().manual_seed(0)
    walk = Walk(kernel, energy, x, generator, made if compiled else None, n_steps=6)
    return walk.trace(6, 2).x, made


@pytest.mark.parametrize(("kernel", "why"), [(Descends(), ""), (Peeks(), "data-dependent")])
def test_a_step_of_parts_goes_where_the_eager_one_does(kernel, why):
    energy = ebmcore.given(Bowl(), y=torch.full((5, 1), 0.1, dtype=torch.float64))
    wanted, _ = walked(kernel, energy)
    found, made = walked(kernel, energy, compiled=True)
    torch.testing.assert_close(found, wanted)
    assert why in made.why
    part = made.stepped.part
    assert (part.graph.traced == 0) == bool(why)
    assert bool(part.why) == bool(why)
    assert made.kernel is kernel
    assert "part" not in vars(kernel)


def test_auto_compiles_parts_from_fewer_steps_on():
    assert compiling_pays(Descends(), 5_000)
    assert not compiling_pays(Descends(), 4_999)
