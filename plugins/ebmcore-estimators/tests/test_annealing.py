import math

import pytest
import torch
from ebmcore_estimators import Gaussian, Path
from ebmcore_estimators.annealing import anneal, resampled
from ebmcore_estimators.jumps import Proposal
from ebmcore_estimators.moves import Hamiltonian
from ebmcore_estimators.walkers import Walkers

from ebmcore.testing import no_host_sync


def stay(walkers, beta, size, scale, generator):
    return walkers, torch.ones_like(walkers.target)


def walkers(base, target):
    return Walkers(torch.arange(len(base))[:, None].double(), base, target)


def test_weights_by_hand(seeded):
    at = walkers(torch.tensor([1.0, 2.0]).double(), torch.tensor([3.0, 0.0]).double())
    end = anneal(stay, at, Path((0.0, 0.25, 1.0)), seeded)
    assert end.log_weights.tolist() == [[-2.0, 2.0]]  # E₀ - E, whatever the steps
    back = anneal(stay, at, Path((1.0, 0.25, 0.0)), seeded)
    assert back.log_weights.tolist() == [[2.0, -2.0]]
    half = anneal(stay, at, Path((0.0, 0.5)), seeded)
    assert half.log_weights.tolist() == [[-1.0, 1.0]]


def test_systematic_copies_are_the_expected_ones(seeded):
    share = torch.tensor([[0.5, 0.25, 0.02, 0.23], [0.1, 0.2, 0.3, 0.4]]).double()
    copies = torch.zeros(2, 4)
    for _ in range(500):
        log_w, index = resampled(share.log() + 3.0, 1.0, seeded)
        count = torch.stack([torch.bincount(row, minlength=4) for row in index])
        assert ((count - 4 * share).abs() < 1).all()
        copies += count
    # a count is one of two whole numbers, with a variance of ¼ at most
    assert ((copies / 500 - 4 * share).abs() < 5 * 0.5 / math.sqrt(500)).all()
    torch.testing.assert_close(log_w, torch.full((2, 4), 3.0 - math.log(4)).double())


def test_groups_are_resampled_when_due_and_alone(seeded):
    log_w = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, -50.0, -50.0, -50.0]]).double()
    after, index = resampled(log_w, 0.5, seeded)
    assert index.tolist() == [[0, 1, 2, 3], [0, 0, 0, 0]]
    assert after[0].tolist() == [0.0] * 4
    torch.testing.assert_close(after[1], torch.full((4,), -math.log(4)).double())
    base = torch.zeros(8).double()
    end = anneal(
        stay, walkers(base, -log_w.flatten()), Path((0.0, 1.0)), seeded, groups=2, resample_at=0.5
    )
    assert end.walkers.x[:, 0].tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert end.ancestors.tolist() == index.tolist()
    torch.testing.assert_close(end.log_weights.logsumexp(1), log_w.logsumexp(1))


def test_an_infinite_energy_has_no_weight(seeded):
    log_w = torch.tensor([[0.0, -math.inf, 0.0, -math.inf]]).double()
    after, index = resampled(log_w, 0.9, seeded)
    assert sorted(index[0].tolist()) == [0, 0, 2, 2]
    assert after.exp().sum() == pytest.approx(2.0)


def test_nothing_waits_for_an_accelerator_on_the_way(known, seeded):
    base = Gaussian.standard((3,), dtype=torch.float64)
    move = Hamiltonian(known.gaussian, base, 2, jumps=2)
    at = move.begin(base.sample(64, seeded))
    sizes, proposal = torch.full((4,), 0.3).double(), Proposal.of(at.z, 2)
    path = Path((0.0, 0.2, 0.5, 1.0), sizes, torch.ones(4, 3).double(), (proposal,) * 4)
    with no_host_sync("cpu"):
        end = anneal(move, at, path, seeded, groups=4, resample_at=0.9)
    assert end.acceptance.shape == (3,)
