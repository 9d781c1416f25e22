"""Jumps leave p_β invariant, whatever the draws from which they propose."""

import math

import pytest
import torch
from ebmcore_estimators import Gaussian, Path, smc
from ebmcore_estimators.jumps import Jump, Proposal
from ebmcore_estimators.moves import Hamiltonian
from ebmcore_estimators.tuning import fit_path

N = 20_000


def test_a_histogram_by_hand():
    z = torch.tensor([[0.0], [0.1], [0.3], [4.0]]).double()
    found = Proposal.of(z, 1)  # four bins of width 1
    assert (found.low.tolist(), found.width.tolist()) == ([0.0], [1.0])
    assert found.bins[:, 0].tolist() == [0, 0, 0, 3]
    assert found.log_counts.exp().tolist() == [pytest.approx([0, 3, 0, 0, 1, 0])]


def test_draws_follow_the_histogram(seeded):
    z = torch.tensor([[0.0, -8.0], [0.1, -8.0], [0.3, 8.0], [4.0, 8.0]]).double()
    old = torch.tensor([[0.5, -7.0]]).double().expand(N, 2)
    drawn = Proposal.of(z, 2).draw(old, torch.arange(2), seeded)
    assert (drawn.new[:, 0] < 1).double().mean() == pytest.approx(0.75, abs=5 * 0.433 / N**0.5)
    inside = drawn.new[drawn.new[:, 0] < 1, 0]
    assert inside.mean() == pytest.approx(0.5, abs=5 * 12**-0.5 / len(inside) ** 0.5)
    # q is ¾ or ¼ in the bins of the first number, ½ in those of the second
    expected = torch.where(drawn.new[:, 0] < 1, 0.0, math.log(3)).double()
    torch.testing.assert_close(drawn.log_ratio, expected)
    lost = Proposal.of(z, 1).draw(old[:, :1] + 1, torch.tensor([0]), seeded)
    assert (lost.log_ratio == -math.inf).all()  # an empty bin is never left


@pytest.mark.parametrize("together", [1, 2])
def test_exact_draws_stay_exact(together, known, seeded):
    # at β = 1 the mixture of weights ¼ and ¾; proposals from draws of another law
    base = Gaussian(torch.tensor([0.3, 0.0]).double(), torch.tensor([2.0, 1.5]).double())
    jump = Jump(known.mixture, base, 6)
    walkers = Hamiltonian(known.mixture, base, 1).begin(known.draw_mixture(N, seeded))
    other = 1.3 * torch.randn(300, 2, generator=seeded, dtype=torch.float64)
    proposal = Proposal.of(other, together)
    moved, acceptance = jump(walkers, 1.0, proposal, seeded)
    assert 0.02 < float(acceptance) < 0.9
    x = moved.x
    assert (x != walkers.x).any(1).double().mean() > 0.1
    right = (x[:, 0] > 0).double().mean()
    assert right == pytest.approx(0.75, abs=5 * math.sqrt(0.1875 / N))
    assert x.mean(0).tolist() == pytest.approx([1, 1], abs=5 * math.sqrt(3.25 / N))
    spread = (x - torch.where(x[:, :1] > 0, 2.0, -2.0)).square().mean(0)
    assert spread.tolist() == pytest.approx([0.25, 0.25], abs=5 * 0.25 * math.sqrt(2 / N))
    fresh = Hamiltonian(known.mixture, base, 1).begin(x)
    for found, right in zip(moved, fresh, strict=True):
        torch.testing.assert_close(found, right)


def test_the_pilot_says_how_many_coordinates_jump_together(known, seeded):
    base = Gaussian.standard((8,), scale=2.0, dtype=torch.float64)
    independent = fit_path(Hamiltonian(known.wells, base, 2, 2), base, seeded, pilot=200)
    assert len(independent.proposals) == len(independent.betas)
    assert independent.proposals[-1].together > 2

    def narrow(x):  # along the diagonal: a single number can't move far
        return 0.5 * x.mean(1).square() + 500 * (x - x.mean(1, keepdim=True)).square().sum(1)

    bound = fit_path(Hamiltonian(narrow, base, 2, 2), base, seeded, pilot=200)
    assert bound.proposals[-1].together == 1


def test_jumps_make_log_z_of_wells_more_certain(known, seeded):
    base = Gaussian.standard((8,), scale=2.0, dtype=torch.float64)

    def deep(x):
        return known.wells(1.4 * x)

    true = known.of_wells(8) - 8 * math.log(1.4)
    kept = []
    for jumps in (0, 4):
        found = smc(deep, base, n=512, steps=30, jumps=jumps, generator=seeded)
        assert abs(found.log_z - true) < 4.5 * found.standard_error
        kept.append(found.ess)
    assert kept[1] > 1.5 * kept[0]


def test_paths_keep_the_proposals_of_their_betas():
    ends = [Proposal.of(torch.tensor([[0.0], [of]]), 1) for of in (1.0, 2.0, 3.0)]
    path = Path((0.0, 0.2, 1.0), torch.ones(3), None, tuple(ends))
    assert path.reversed().proposals == tuple(ends[::-1])
    assert path.end().proposals == (ends[2],) * 3
    finer = path.refined(6).proposals
    assert [ends.index(of) for of in finer] == [0, 0, 1, 1, 1, 2, 2]
