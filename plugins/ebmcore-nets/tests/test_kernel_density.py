"""Kernel densities: the formula on all rows, the row left out, and the rows that are kept."""

import copy

import numpy as np
import pytest
import torch
from ebmcore_nets import KernelDensity
from ebmcore_transforms import RankGaussian, Whiten

EVENT = (3, 2)


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


@pytest.mark.parametrize("view", [None, RankGaussian(), Whiten()])
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
    assert not list(KernelDensity(rows, learnable=False).parameters())[0].requires_grad


def test_the_state_holds_the_rows_of_any_number(rows, new):
    energy = KernelDensity(rows, norm=1, view=Whiten(), bandwidth=0.5).double()
    other = KernelDensity(event_shape=EVENT, norm=1, view=Whiten()).double()
    other.load_state_dict(copy.deepcopy(energy.state_dict()))
    assert torch.equal(other(new), energy(new))
    with pytest.raises(RuntimeError, match="size mismatch"):
        KernelDensity(event_shape=(2,)).load_state_dict(KernelDensity(rows).state_dict())


def test_one_row_alone_is_refused(rows):
    with pytest.raises(ValueError, match="at least two training rows; got 1"):
        KernelDensity(rows[:1])


@pytest.mark.parametrize("n", [2, 5, 70])
@pytest.mark.parametrize("view", [None, RankGaussian(), Whiten()])
def test_rows_that_are_constant_or_the_same_have_finite_energies(n, view):
    constant = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    constant[:, 1] = 2.0
    for rows in (constant, torch.ones(n, 3), (constant > 0).float()):
        energy = KernelDensity(rows, norm=1, view=view)
        x = torch.cat([rows, rows + 1, rows * 1000]).requires_grad_()
        values = energy(x)
        values.sum().backward()
        assert values.isfinite().all()
        assert x.grad.isfinite().all()
        assert (values[n:].mean() > values[:n].mean()).item()
