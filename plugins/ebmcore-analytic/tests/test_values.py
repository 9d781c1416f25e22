"""E at points worked out by hand, at kinks, and what is refused."""

import math

import pytest
import torch
from ebmcore_analytic import (
    Ackley,
    DoubleWell,
    Funnel,
    Gaussian,
    GaussianMixture,
    ManyWell,
    Rastrigin,
    Ring,
    Rosenbrock,
    Sum,
    Tempered,
)
from torch import nn


@pytest.fixture(autouse=True)
def in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def holds(energy, x, expected):
    torch.testing.assert_close(energy(torch.tensor(x)), torch.tensor(expected))


def test_gaussian_by_hand():
    energy = Gaussian((2,), mean=[1.0, -1.0], scale=[0.5, 2.0])
    holds(energy, [[1.0, -1.0], [2.0, -1.0], [1.0, 3.0]], [0.0, 2.0, 2.0])
    holds(Gaussian((2, 1), scale=2.0), [[[2.0], [4.0]]], [2.5])
    holds(Gaussian((), scale=2.0), [2.0, 4.0], [0.5, 2.0])
    # Σ = [[2, 1], [1, 1]], so P = [[1, -1], [-1, 2]]
    full = Gaussian((2,), covariance=[[2.0, 1.0], [1.0, 1.0]])
    holds(full, [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]], [0.5, 1.0, 0.5, 5.0])
    torch.testing.assert_close(full.precision, torch.tensor([[1.0, -1.0], [-1.0, 2.0]]))
    torch.testing.assert_close(energy.precision, torch.tensor([4.0, 0.25]).diag())


def test_gaussian_mixture_by_hand():
    energy = GaussianMixture((1,), centers=[[0.0], [2.0]], std=0.5, weights=[3.0, 1.0])
    at_zero = -math.log(0.75 + 0.25 * math.exp(-8.0))
    at_half = -math.log(0.75 * math.exp(-0.5) + 0.25 * math.exp(-4.5))
    holds(energy, [[0.0], [0.5]], [at_zero, at_half])


def test_double_well_by_hand():
    energy = DoubleWell((2,), height=3.0, separation=4.0, tilt=0.5)
    # wells of ±2; at 0 the barrier, at 4 = 2a it is 3 · (4 - 1)²
    holds(energy, [[2.0, 2.0], [0.0, -2.0], [4.0, 0.0]], [2.0, 2.0, 27.0 + 2.0 + 3.0])


def test_many_well_by_hand():
    # 1 - 6 - 1/2 + 9/2 of the pair (1, 3), 16 - 24 + 1 + 2 of (-2, 2)
    holds(ManyWell((2, 2)), [[[1.0, 3.0], [-2.0, 2.0]]], [-1.0 - 5.0])


def test_ring_by_hand():
    energy = Ring((2,), radius=4.0, width=0.5)
    holds(energy, [[0.0, 4.0], [3.0, 4.0], [0.0, 0.0]], [0.0, 2.0, 32.0])


def test_funnel_by_hand():
    energy = Funnel((3,), scale=2.0)
    holds(energy, [[0.0, 1.0, 2.0]], [2.5])
    holds(energy, [[math.log(4.0), 4.0, 2.0]], [math.log(4.0) ** 2 / 8 + 2.5 + math.log(4.0)])


def test_rosenbrock_by_hand():
    holds(Rosenbrock((2,)), [[1.0, 1.0], [3.0, 8.0]], [0.0, (4.0 + 100.0) / 20])
    chain = Rosenbrock((3,), mu=2.0, a=1.0, b=3.0)
    holds(chain, [[1.0, 3.0, 10.0]], [1.0 + 3.0 * (4.0 + 1.0)])
    blocks = Rosenbrock((5,), mu=2.0, a=1.0, b=3.0, blocks=2)
    # the chains 3, 9 and 1, 4 both begin from 1
    holds(blocks, [[1.0, 3.0, 9.0, 1.0, 4.0]], [1.0 + 3.0 * (4.0 + 0.0 + 0.0 + 9.0)])


def test_rastrigin_by_hand():
    energy = Rastrigin((2,), amplitude=10.0)
    holds(energy, [[0.0, 0.0], [1.0, -2.0], [0.5, 0.25]], [0.0, 5.0, 20.25 + 10.0625])


def test_ackley_by_hand():
    energy = Ackley((2,))
    far = 20 * (1 - math.exp(-0.2))
    half = 20 * (1 - math.exp(-0.2 * math.sqrt(0.125))) + math.e - 1
    holds(energy, [[0.0, 0.0], [1.0, -1.0], [0.5, 0.0]], [0.0, far, half])
    walled, plain = Ackley((2,), box=1.0), Ackley((2,), box=None)
    x = torch.tensor([[3.0, -2.0], [0.5, 4.0], [1.0, -1.0]])
    torch.testing.assert_close(walled(x) - plain(x), torch.tensor([2.5, 4.5, 0.0]))


def test_ackley_without_walls_is_bounded_and_not_a_density():
    x = torch.logspace(0, 8, 50)[:, None]
    assert (Ackley((1,), box=None)(x) < 20 + math.e).all()
    # with them, exp(-E) falls faster than a Gaussian of standard deviation 2 beyond the box
    out = x[x[:, 0] > 100]
    assert (Ackley((1,))(out) > out[:, 0].square() / 8).all()


def test_nothing_is_nan_at_a_kink():
    for energy in (Ring((2,)), Ackley((2,)), Ackley((2,), box=1e-3)):
        for size in (0.0, 1e-300, 1e-160, 1e-12):
            x = torch.tensor([[size, -size], [0.0, size]], requires_grad=True)
            values = energy(x)
            (gradient,) = torch.autograd.grad(values.sum(), x, create_graph=True)
            (twice,) = torch.autograd.grad(gradient.sum(), x)
            for tensor in (values, gradient, twice):
                assert tensor.isfinite().all()
        assert (gradient.abs() > 0).any()  # away from the kink it has its slope
    x = torch.zeros(1, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(Ring((2,))(x).sum(), x)
    assert (gradient == 0).all()
    narrow = torch.full((1, 2), 1e-12, dtype=torch.float32, requires_grad=True)
    (gradient,) = torch.autograd.grad(Ring((2,)).float()(narrow).sum(), narrow, create_graph=True)
    (twice,) = torch.autograd.grad(gradient.sum(), narrow)
    assert twice.isfinite().all()


def test_sum_by_hand():
    def slope(x):
        return 3 * x.sum(1)

    def never(x):
        raise AssertionError("a term of weight 0 is not called")

    energy = Sum([Gaussian((2,)), slope, never], weights=[2.0, -1.0, 0.0])
    holds(energy, [[1.0, 2.0], [0.0, 0.0]], [2 * 2.5 - 9.0, 0.0])
    holds(Sum([slope, slope]), [[1.0, 0.0]], [6.0])


def test_tempered_by_hand():
    holds(Tempered(Gaussian((2,)), temperature=4.0), [[2.0, 2.0]], [1.0])
    holds(Tempered(Tempered(Gaussian((2,)), temperature=4.0), temperature=0.5), [[2.0, 2.0]], [2.0])


def test_what_a_combination_is_made_of_trains():
    inner = Gaussian((2,), learnable=True)
    energy = Sum([Tempered(inner, temperature=2.0), Gaussian((2,), learnable=True)])
    assert len(list(energy.parameters())) == 4
    energy(torch.ones(3, 2)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in energy.parameters())
    shared = Sum([inner, inner])
    assert len(list(shared.parameters())) == 2


def test_piecewise_linear_depends_on_the_weighted_terms():
    kinked, smooth = nn.Module(), nn.Module()
    kinked.piecewise_linear, smooth.piecewise_linear = True, False
    assert Sum([kinked, kinked]).piecewise_linear
    assert not Sum([kinked, smooth]).piecewise_linear
    assert Sum([kinked, smooth], weights=[1.0, 0.0]).piecewise_linear
    assert not Sum([kinked, torch.sum]).piecewise_linear
    assert Tempered(kinked).piecewise_linear
    assert not Tempered(smooth).piecewise_linear
    assert Tempered(Sum([Tempered(kinked)])).piecewise_linear


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian((2,), mean=[1.0]), "mean should be one number, or 2, .*; got 1"),
        (lambda: Gaussian((2,), scale=[1.0, 0.0]), "scale should be positive; got 0"),
        (lambda: Gaussian((2,), scale=1.0, covariance=[[1, 0], [0, 1]]), "or covariance, not both"),
        (lambda: Gaussian((2,), covariance=[[1.0]]), "should be 2 rows of 2 numbers"),
        (lambda: Gaussian((2,), covariance=[[1, 2], [2, 1]]), "symmetric and positive definite"),
        (lambda: Gaussian((2,), covariance=[[1, 0.1], [0.2, 1]]), "symmetric and positive"),
        (lambda: GaussianMixture((3,)), r"centers\[0\] should have 3 numbers, .*; got 2"),
        (lambda: GaussianMixture((2,), centers=[]), "at least one point"),
        (lambda: GaussianMixture((2,), weights=[1.0]), "each of 5 centers; got 1"),
        (lambda: GaussianMixture((2,), std=0.0), "std should be positive; got 0"),
        (lambda: DoubleWell((2,), height=-1.0), "height should be positive; got -1"),
        (lambda: DoubleWell((2,), separation=0.0), "separation should be positive; got 0"),
        (lambda: ManyWell((3,)), r"an even number of numbers; got shape \(3,\)"),
        (lambda: Ring((3,)), r"two numbers; got shape \(3,\)"),
        (lambda: Ring((2,), width=math.inf), "width should be positive; got inf"),
        (lambda: Funnel((1,)), r"two numbers or more; got shape \(1,\)"),
        (lambda: Rosenbrock((1,)), r"two numbers or more; got shape \(1,\)"),
        (lambda: Rosenbrock((4,), blocks=2), "divide the 3 numbers .*; got 2"),
        (lambda: Rastrigin((1,), amplitude=0.0), "amplitude should be positive; got 0"),
        (lambda: Ackley((1,), box=0.0), "box should be positive; got 0"),
        (lambda: Sum([]), "at least one energy"),
        (lambda: Sum([torch.sum], weights=[1.0, 2.0]), "each of 1 terms; got 2"),
        (lambda: Sum([torch.sum], weights=[0.0]), r"not all be 0; got \[0.0\]"),
        (lambda: Tempered(torch.sum, temperature=0.0), "temperature should be positive; got 0"),
    ],
)
def test_what_a_constructor_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_other_events_are_refused():
    with pytest.raises(ValueError, match=r"energy ring was built .* \(2,\); got \(2, 1\)"):
        Ring((2,))(torch.zeros(4, 2, 1))
    with pytest.raises(ValueError, match="got a single number"):
        Rastrigin((2,))(torch.zeros(()))
    for energy, name in (
        (Sum([Gaussian((2,)), lambda x: x[:, :1]]), r"terms\[1\]"),
        (Tempered(lambda x: x[:, :1]), "the energy"),
    ):
        with pytest.raises(ValueError, match=rf"{name} should return .* \(3,\); got \(3, 1\)"):
            energy(torch.zeros(3, 2))
