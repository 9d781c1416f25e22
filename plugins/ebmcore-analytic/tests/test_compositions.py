"""Mixtures and negations against quadrature in the plane, and what they refuse."""

import math
import warnings

import pytest
import torch
from ebmcore_analytic import Ackley, Gaussian, GaussianMixture, Mixture, Negated, Product, Ring, Sum

PLANE = [(-6, 6, 241)] * 2


@pytest.fixture(autouse=True)
def in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def test_product_is_sum():
    terms, x = [Ring((2,)), Gaussian((2,))], torch.tensor([[0.5, -2.0]])
    assert torch.equal(Product(terms, weights=[2.0, 1.0])(x), Sum(terms, weights=[2.0, 1.0])(x))


def test_a_mixtures_density_is_that_of_its_terms(integrate):
    ring, gaussian = Ring((2,), radius=3.0, width=0.4), Gaussian((2,), mean=[1.0, 0.0], scale=0.5)
    energy = Mixture([ring, gaussian], weights=[3.0, 1.0])
    whole, parts = integrate(energy, *PLANE), [integrate(e, *PLANE) for e in (ring, gaussian)]
    assert energy.log_z == pytest.approx(0.0, abs=1e-12)
    assert abs(whole.log_z) < 1e-6
    expected = 0.75 * parts[0].shares + 0.25 * parts[1].shares
    torch.testing.assert_close(whole.shares, expected, atol=1e-9, rtol=0)


def test_log_z_that_is_given_counts(integrate):
    ackley, gaussian = Ackley((2,), a=3.0, box=1.0), Gaussian((2,), mean=[3.0, 0.0], scale=0.5)
    own = integrate(ackley, *PLANE)
    exact = Mixture([ackley, gaussian], log_z=[own.log_z, gaussian.log_z])
    assert abs(integrate(exact, *PLANE).log_z) < 1e-6
    assert exact.log_z is None  # ackley doesn't know its own
    assert not exact.can_sample
    off = Mixture([ackley, gaussian], log_z=[own.log_z - math.log(3), gaussian.log_z])
    torch.testing.assert_close(  # an error of log 3 multiplies its weight by 3
        integrate(off, *PLANE).shares,
        0.75 * own.shares + 0.25 * integrate(gaussian, *PLANE).shares,
        atol=1e-6,
        rtol=0,
    )


def test_a_mixtures_draws(integrate):
    energy = Mixture([Ring((2,), radius=2.0), Gaussian((2,), scale=0.3)], weights=[1.0, 2.0])
    x = energy.sample(4000, torch.Generator().manual_seed(0))
    inside = float((x.norm(dim=1) < 1.2).double().mean())
    law = integrate(energy, *PLANE)
    expected = float(law.shares[law.x.norm(dim=1) < 1.2].sum())
    assert expected == pytest.approx(2 / 3, abs=0.01)
    assert abs(inside - expected) < 4 * math.sqrt(expected * (1 - expected) / 4000)
    assert law.distance(law.x[:, 0], x[:, 0]) < math.sqrt(math.log(2e6) / 2 / 4000)


def test_a_term_that_is_trained_takes_its_share():
    term = Gaussian((2,), learnable=True)
    energy = Mixture([term, Gaussian((2,), mean=5.0)])
    before = term.log_z
    with torch.no_grad():
        next(term.parameters()).add_(0.5)
        term.log_scale.add_(0.5)
    grown = term.log_z - before
    assert grown > 0.5
    assert energy.log_z == pytest.approx(math.log((math.exp(grown) + 1) / 2), abs=1e-12)


def test_a_bounded_negation_by_quadrature(integrate):
    five, one = GaussianMixture((2,), std=0.5), Gaussian((2,), mean=[2.0, 2.0], scale=1.0)
    energy = Negated(five, one, alpha=2.0, bound=4.0)
    law, kept = integrate(energy, *PLANE), integrate(five, *PLANE)
    repelled = kept.shares / ((-one(kept.x)).exp() + math.exp(-4.0)).square()
    torch.testing.assert_close(law.shares, repelled / repelled.sum(), atol=1e-12, rtol=0)
    assert (
        float(law.shares[one(law.x) < 2].sum()) < 0.01 < float(kept.shares[one(kept.x) < 2].sum())
    )
    assert law.log_z < kept.log_z + 2 * 4.0  # the bound on Z
    assert energy.log_z is None


def test_negated_by_hand():
    x = torch.tensor([[1.0], [3.0]])
    plain = Negated(lambda x: x[:, 0].square(), lambda x: x[:, 0], alpha=0.5, bound=2.0)
    expected = [1 + 0.5 * math.log(math.exp(-v) + math.exp(-2)) for v in (1.0, 3.0)]
    expected[1] += 8
    torch.testing.assert_close(plain(x), torch.tensor(expected))


def test_gaussians_without_a_bound(integrate):
    wide, narrow = Gaussian((2,), scale=0.6), Gaussian((2,), mean=[0.5, 0.0], scale=1.5)
    energy = Negated(wide, narrow, alpha=0.8, bound=None)
    assert abs(energy.log_z - integrate(energy, *PLANE).log_z) < 1e-8
    with pytest.raises(ValueError, match="no normalisable density, since E_b grows faster"):
        Negated(narrow, wide, bound=None)
    with pytest.warns(RuntimeWarning, match="may have no normalisable density; set bound"):
        Negated(wide, Ring((2,)), bound=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Negated(narrow, wide)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"terms": []}, "at least one energy"),
        ({"terms": [Ackley((2,))]}, r"terms\[0\], Ackley, has no known log Z"),
        ({"terms": [Ring((2,))], "weights": [0.0]}, "weights should be positive"),
        ({"terms": [Ring((2,))], "weights": [1.0, 1.0]}, "one number for each of 1 terms; got 2"),
        ({"terms": [Ring((2,))], "log_z": []}, "log_z should have one number for each"),
    ],
)
def test_mixtures_that_say_nothing_are_refused(keys, why):
    with pytest.raises(ValueError, match=why):
        Mixture(**keys)


def test_one_energy_for_each_event():
    for energy in (
        Mixture([torch.sum], log_z=[0.0]),
        Negated(Gaussian((2,)), torch.sum),
        Negated(torch.sum, Gaussian((2,))),
        Sum([torch.sum]),
    ):
        with pytest.raises(ValueError, match="one value per event"):
            energy(torch.zeros(3, 2))
