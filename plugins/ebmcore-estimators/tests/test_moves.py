"""Moves leave p_β invariant: exact draws stay draws of p_β."""

import itertools
import math
from typing import NamedTuple

import pytest
import torch
from ebmcore_estimators import Gaussian, Uniform
from ebmcore_estimators.moves import Between, Hamiltonian, HeatBath, Stepped

from ebmcore import Binary, Categorical, Kernel, StepSize

N = 20_000
MEAN = torch.tensor([1.0, -1.0]).double()
ROOT = torch.tensor([[2.0, 0.0], [0.6, 0.5]]).double()
SD = torch.tensor([0.7, 3.0]).double()


def target(x):
    return 0.5 * (x / SD).square().sum(1)


def between(beta):
    """The mean and the covariance of p_β, a Gaussian: precisions add up."""
    precision = torch.linalg.inv(ROOT @ ROOT.T)
    whole = (1 - beta) * precision + beta * SD.pow(-2).diag()
    covariance = torch.linalg.inv(whole)
    return covariance @ ((1 - beta) * precision @ MEAN), covariance


class Walk(Kernel):
    """Random-walk Metropolis, of which a step keeps exp(-E) invariant."""

    implied_temperature = 1.0
    unbiased = True

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return torch.randn(x.shape, generator=generator, dtype=x.dtype), torch.rand(
            len(x), generator=generator, dtype=x.dtype
        )

    def step(self, energy, state, noise):
        xi, uniform = noise
        there = state.x + xi
        acceptance = (energy(state.x) - energy(there)).clamp(max=0).exp()
        x = torch.where((uniform < acceptance)[:, None], there, state.x)
        return State(x), Info(acceptance)


class State(NamedTuple):
    x: torch.Tensor


class Info(NamedTuple):
    acceptance: torch.Tensor


BASE = Gaussian(MEAN, ROOT)


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("move", [Hamiltonian(target, BASE, 3), Stepped(target, BASE, Walk())])
def test_exact_draws_stay_exact(move, beta, seeded):
    mean, covariance = between(beta)
    root = torch.linalg.cholesky(covariance)
    x = mean + torch.randn(N, 2, generator=seeded, dtype=torch.float64) @ root.T
    walkers, scale = move.begin(x), torch.tensor([0.8, 1.3]).double()
    for _ in range(5):
        walkers, acceptance = move(walkers, beta, torch.tensor(1.1).double(), scale, seeded)
    assert 0.05 < acceptance.mean() < 0.97  # so that an error isn't hidden by tiny steps
    white = torch.linalg.solve_triangular(root, (walkers.x - mean).T, upper=False).T
    # N(0, I): a mean has the standard error 1/√n, a variance √(2/n), a covariance 1/√n
    assert (white.mean(0).abs() < 5 / math.sqrt(N)).all()
    excess = white.T.cov() - torch.eye(2)
    assert (excess.diagonal().abs() < 5 * math.sqrt(2 / N)).all()
    assert excess[0, 1].abs() < 5 / math.sqrt(N)
    fresh = move.begin(walkers.x)
    torch.testing.assert_close(walkers.base, fresh.base)
    torch.testing.assert_close(walkers.target, fresh.target)
    if fresh.score is not None:
        torch.testing.assert_close(walkers.score, fresh.score)
        torch.testing.assert_close(walkers.z, fresh.z)


def test_the_error_of_a_path_falls_as_the_square_of_its_step(seeded):
    move, x = Hamiltonian(target, BASE, 1), BASE.sample(4000, seeded)
    lost = []
    for size, leapfrog in ((0.2, 4), (0.1, 8)):
        move.leapfrog = leapfrog
        there = torch.tensor(size).double()
        same = torch.Generator().manual_seed(1)
        lost.append(1 - move(move.begin(x), 0.5, there, None, same)[1].mean())
    assert lost[0] / lost[1] == pytest.approx(4, rel=0.15)


def test_a_proposal_of_no_finite_energy_is_never_kept(seeded):
    def walled(x):
        return torch.where(x[:, 0] > 0, torch.inf, target(x))

    move = Hamiltonian(walled, BASE, 2)
    x = torch.full((200, 2), -0.5).double()
    for _ in range(4):
        walkers, _ = move(move.begin(x), 0.5, torch.tensor(0.3).double(), None, seeded)
        x = walkers.x
    assert (x[:, 0] <= 0).all()
    assert (x[:, 0] != -0.5).any()


@pytest.mark.parametrize(("space", "k"), [(Binary(), 2), (Categorical(3), 3)])
def test_a_heat_bath_keeps_the_law_of_all_events(space, k, seeded):
    events = torch.tensor(list(itertools.product(range(k), repeat=3)))
    table = 2 * torch.randn(k**3, generator=seeded, dtype=torch.float64)
    places = torch.tensor([k**2, k, 1])

    def energy(x):
        return table[(x.long() * places).sum(1)]

    law = (-0.6 * table).softmax(0)  # of β = 0.6: the base is uniform
    drawn = torch.multinomial(law, N, True, generator=seeded)
    move = HeatBath(energy, Uniform((3,), space))
    x = events[drawn].to(torch.float64 if k == 2 else torch.int64)
    walkers, acceptance = move(move.begin(x), 0.6, None, None, seeded)
    assert (acceptance == 1).all()
    space.check(walkers.x)
    torch.testing.assert_close(walkers.target, energy(walkers.x))
    share = torch.bincount((walkers.x.long() * places).sum(1), minlength=k**3) / N
    assert ((share - law).abs() < 5 * (law * (1 - law) / N).sqrt()).all()
    assert (walkers.x != x).any(0).all()  # every number was drawn anew


class Pair:
    """Two spins that prefer to be equal, with their conditionals."""

    independent_sites = torch.eye(2).bool()

    def __call__(self, x):
        return -1.3 * (x[:, 0] == x[:, 1])

    def site_logits(self, x):
        return 1.3 * torch.stack([1 - x.flip(1), x.flip(1)], 2)


def test_a_path_from_a_uniform_law_offers_the_conditionals():
    path = Between(Uniform((2,), Binary()), Pair(), 0.4)
    events = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    odds = path(events[:2]) - path(events[2:])  # of the first spin at 1, given the second
    logits = path.site_logits(events[:2])[:, 0]
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], odds)
    assert torch.equal(path.independent_sites, Pair.independent_sites)
    for other in (Between(BASE, Pair(), 0.4), Between(Uniform((2,), Binary()), target, 0.4)):
        assert not hasattr(other, "independent_sites")


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"implied_temperature": 0.5}, "Walk has temperature 0.5; a path to"),
        ({"unknown_law": "it is clipped"}, "Walk has no known law: it is clipped"),
        ({"unbiased": False}, "Walk doesn't say that it is unbiased"),
        ({"step_size": StepSize()}, "Walk has step_size: auto"),
    ],
)
def test_kernels_of_another_law_are_refused(declared, message):
    kernel = Walk()
    for name, value in declared.items():
        setattr(kernel, name, value)
    with pytest.raises(ValueError, match=message):
        Stepped(target, BASE, kernel)
