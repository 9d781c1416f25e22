"""Kernel densities: the formula on all rows, the row left out, and the rows that are kept."""

import copy
import warnings
from typing import ClassVar

import numpy as np
import pytest
import torch
from ebmcore_nets import KernelDensity

from ebmcore import Transform
from ebmcore.testing import EnergySuite

EVENT = (3, 2)


class Slopes(Transform):
    """Each number over its spread, and the first one's square beside them."""

    def fit(self, x):
        warnings.warn("a fit may warn", stacklevel=2)
        self.spread = 1 + x.flatten(1).std(0)

    def shape(self, event_shape):
        return (torch.Size(event_shape).numel() + 1,)

    def __call__(self, x):
        x = x.flatten(1) / self.spread.to(x)
        return torch.cat([x, x[:, :1].square()], 1)


class TestConformance(EnergySuite):
    component = "kernel_density"
    event_shapes: ClassVar = [(2,), (3, 2)]


class TestConformanceOfAnotherNorm(TestConformance):
    params: ClassVar = {"norm": 1}


class TestConformanceOfAView(TestConformance):
    params: ClassVar = {"neighbours": 4, "view": Slopes()}


@pytest.fixture
def rows():
    drawn = torch.randn(60, *EVENT, generator=torch.Generator().manual_seed(0))
    return torch.cat([drawn, drawn[:1]]).double()  # the first one twice


@pytest.fixture
def new():
    return torch.randn(9, *EVENT, generator=torch.Generator().manual_seed(1)).double() * 2


def distances(x, rows, norm):
    """All distances, rising, (n, rows)."""
    away = (x.flatten(1)[:, None] - rows.flatten(1)[None]).numpy()
    return np.sort(np.linalg.norm(away, norm, axis=2), axis=1)


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("neighbours", [1, 4, 61])
def test_the_energy_is_that_of_all_its_kernels(rows, new, norm, neighbours):
    energy = KernelDensity(rows, norm=norm, neighbours=neighbours, bandwidth=0.3).double()
    s = np.sort(distances(rows, rows, norm)[:, 1])[30]  # the median to the nearest other row
    assert float(energy.scale) == pytest.approx(s)
    kernels = np.exp(-distances(new, rows, norm)[:, :neighbours] / (0.3 * s))
    found = energy(new).detach().numpy()
    np.testing.assert_allclose(found, -np.log(kernels.sum(1)), rtol=1e-6)


@pytest.mark.parametrize("view", [None, Slopes()])
def test_a_row_does_not_vouch_for_itself(rows, view):
    energy = KernelDensity(rows, view=view).double()
    found = energy(rows).detach()
    assert found[0] == found[-1] == 0  # its copy is another row
    seen = rows if view is None else view(rows)
    expected = distances(seen, seen, 2)[:, 1] / float(energy.scale)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_a_loss_learns_the_bandwidth_and_nothing_else(rows, new):
    energy = KernelDensity(rows, norm=1).double()
    (weight,) = energy.parameters()
    (energy(new).sum() - energy(rows).sum()).backward()
    torch.testing.assert_close(weight.grad, (energy(new).sum() - energy(rows).sum()).detach())
    (fixed,) = KernelDensity(rows, learnable=False).parameters()
    assert not fixed.requires_grad


def test_the_state_holds_the_rows_of_any_number(rows, new):
    energy = KernelDensity(rows, norm=1, view=Slopes(), bandwidth=0.5).double()
    other = KernelDensity(event_shape=EVENT, norm=1, view=Slopes()).double()
    other.load_state_dict(copy.deepcopy(energy.state_dict()))
    assert torch.equal(other(new), energy(new))
    with pytest.raises(RuntimeError, match="size mismatch"):
        KernelDensity(event_shape=(2,)).load_state_dict(KernelDensity(rows).state_dict())


def test_one_row_alone_is_refused(rows):
    for few in ({"training_data": rows[:1]}, {"training_data": rows, "max_rows": 1}):
        with pytest.raises(ValueError, match="at least two training rows; got 1"):
            KernelDensity(**few)


def test_of_many_rows_some_at_even_distances_are_kept(rows):
    assert torch.equal(KernelDensity(rows, max_rows=61).rows, rows)
    assert torch.equal(KernelDensity(rows, max_rows=30).rows, rows[:60:2])
