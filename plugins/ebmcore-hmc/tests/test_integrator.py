"""The leapfrog integrator: reversible to float precision, of second order, and one step by hand."""

import itertools
import math

import pytest
import torch
from ebmcore_hmc import Phase, leapfrog
from ebmcore_hmc.integrator import kinetic

from ebmcore import energy_and_score


def quartic(x):
    """An energy with no symmetry that would hide an error: neither quadratic nor even."""
    flat = x.flatten(1)
    return (flat**4 / 4 + flat.sin()).sum(1) + 0.5 * flat.prod(1)


def begin(x, momentum):
    return Phase(x, momentum, *energy_and_score(quartic, x))


def points(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MASS = torch.tensor([[0.5, 3.0]], dtype=torch.float64)


@pytest.mark.parametrize("n_steps", [1, 2, 25])
def test_back_to_the_start_with_the_momentum_flipped(n_steps):
    start = begin(points((16, 2), 0), points((16, 2), 1))
    sizes = torch.linspace(0.02, 0.1, 16, dtype=torch.float64)[:, None]
    there = leapfrog(quartic, start, step_size=sizes, mass=MASS, n_steps=n_steps)
    assert (there.x - start.x).abs().mean() > 0.01
    turned = there._replace(momentum=-there.momentum)
    back = leapfrog(quartic, turned, step_size=sizes, mass=MASS, n_steps=n_steps)
    for found, wanted in zip(back, start._replace(momentum=-start.momentum), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


def test_the_error_of_the_energy_is_of_second_order():
    """Over one stretch of time ΔH is c ε² (1 + O(ε²)): halving ε divides it by 4."""
    start = begin(points((8, 2), 2), points((8, 2), 3))
    before = start.energy + kinetic(start.momentum, MASS)
    errors, sizes = [], [0.05 / 2**k for k in range(5)]
    for size in sizes:
        n_steps = round(0.8 / size)
        end = leapfrog(quartic, start, step_size=size, mass=MASS, n_steps=n_steps)
        change = end.energy + kinetic(end.momentum, MASS) - before
        errors.append(change.square().mean().sqrt().item())
    slopes = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert slopes == pytest.approx([2.0] * 4, abs=0.05)
    assert slopes[-1] == pytest.approx(2.0, abs=0.002)
    assert errors[-1] < 1e-4


def test_two_steps_by_hand():
    """E = 3 x²/2, so that the score is -3x: each half kick, drift and kick in plain numbers."""
    x, p, eps, m = 0.7, -0.4, 0.2, 2.5
    start = Phase(
        torch.tensor([[x]]), torch.tensor([[p]]), torch.tensor([1.5 * x * x]),
        torch.tensor([[-3 * x]]),
    )  # fmt: skip
    for _ in range(2):
        p -= 0.5 * eps * 3 * x
        x += eps * p / m
        p -= 0.5 * eps * 3 * x
    end = leapfrog(lambda x: 1.5 * x.square().sum(1), start, step_size=eps, mass=m, n_steps=2)
    torch.testing.assert_close(end.x, torch.tensor([[x]]))
    torch.testing.assert_close(end.momentum, torch.tensor([[p]]))
    torch.testing.assert_close(end.energy, torch.tensor([1.5 * x * x]))
    torch.testing.assert_close(end.score, torch.tensor([[-3 * x]]))


def test_the_kinetic_energy_by_hand():
    momentum = torch.tensor([[2.0, 3.0], [0.0, 1.0]])
    mass = torch.tensor([[4.0, 0.5]])
    torch.testing.assert_close(kinetic(momentum, mass), torch.tensor([0.5 + 9.0, 1.0]))
    torch.testing.assert_close(kinetic(momentum, 2.0), torch.tensor([13 / 4, 1 / 4]))
