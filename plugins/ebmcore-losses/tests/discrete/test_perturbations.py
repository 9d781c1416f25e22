"""How discrete energy discrepancy moves events: the laws of its moves, exactly and by draws."""

import math

import pytest
import torch
from ebmcore_losses import DiscreteEnergyDiscrepancy
from ebmcore_losses.discrete.perturbations import perturb, transition

from ebmcore import Categorical


def test_moves_of_one_number_have_their_laws():
    bits = transition("bernoulli", 2, 0.2, 0.0)
    torch.testing.assert_close(bits, torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=torch.float64))
    row = transition("bernoulli", 5, 0.2, 0.0)[0]
    torch.testing.assert_close(row, torch.tensor([0.8, *[0.05] * 4], dtype=torch.float64))
    stays = 1 / 3 + 2 / 3 * math.exp(-3 * 0.4)  # the eigenvalues of a ring of three: 0, 3, 3
    assert transition("cyclic", 3, 0.1, 0.4)[1, 1].item() == pytest.approx(stays)
    assert transition("ordinal", 2, 0.1, 0.4)[0, 0].item() == pytest.approx(
        (1 + math.exp(-0.8)) / 2
    )
    for kind in ("cyclic", "ordinal"):
        once, twice = (transition(kind, 6, 0.1, time) for time in (0.3, 0.6))
        torch.testing.assert_close(once @ once, twice)
        torch.testing.assert_close(once, once.T)
        torch.testing.assert_close(once.sum(1), torch.ones(6, dtype=torch.float64))
    far = transition("ordinal", 6, 0.1, 0.1)
    assert far[0, 5] < far[0, 1] ** 4  # the ends of a row aren't beside each other
    assert transition("cyclic", 6, 0.1, 0.1)[0, 5].item() == pytest.approx(far[2, 1].item(), 0.1)


@pytest.mark.parametrize("kind", ["bernoulli", "cyclic", "ordinal"])
def test_events_move_and_come_back_by_these_laws(kind):
    n, kernel = 60_000, transition(kind, 4, 0.3, 0.5)
    x = torch.tensor([[0, 3]]).expand(n, 2)
    generator = torch.Generator().manual_seed(0)
    moved, origins = perturb(x, 4, kind, kernel, 1, generator)
    for site, start in enumerate((0, 3)):
        counts = torch.bincount(4 * moved[:, site] + origins[0, :, site], minlength=16)
        expected = n * (kernel[start][:, None] * kernel).flatten()
        assert ((counts - expected).abs() < 5 * expected.sqrt() + 5).all()
    both = torch.bincount(4 * moved[:, 0] + moved[:, 1], minlength=16)
    expected = n * (kernel[0][:, None] * kernel[3]).flatten()
    assert ((both - expected).abs() < 5 * expected.sqrt() + 5).all()  # and independently


def test_a_grid_changes_one_number():
    n, x = 30_000, torch.tensor([[2.0, 0.0, 1.0]])
    generator = torch.Generator().manual_seed(0)
    kernel = transition("grid", 3, 0.1, 0.1)
    moved, origins = perturb(x.expand(n, 3), 3, "grid", kernel, 2, generator)
    assert ((moved != x).sum(1) == 1).all()
    assert ((origins != moved).sum(2) == 1).all()
    found, counts = moved.unique(dim=0, return_counts=True)
    assert len(found) == 6
    assert ((counts - n / 6).abs() < 5 * (n / 6) ** 0.5).all()
    assert not torch.equal(origins[0], origins[1])


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="cyclic, ordinal or grid; got 'flip'"):
        DiscreteEnergyDiscrepancy("flip")
    with pytest.raises(ValueError, match="epsilon should lie between 0 and 1; got 0"):
        DiscreteEnergyDiscrepancy(epsilon=0.0)
    with pytest.raises(ValueError, match=r"discrete_energy_discrepancy on categories needs"):
        DiscreteEnergyDiscrepancy()(lambda x: x.sum(1), torch.zeros(2, 3).long(), None)
    loss = DiscreteEnergyDiscrepancy(space=Categorical(3), samples=4)
    energy = lambda x: x.double().sum(1)  # noqa: E731
    value = loss(energy, torch.zeros(5, 2).long(), torch.Generator().manual_seed(0))
    assert value.shape == ()
