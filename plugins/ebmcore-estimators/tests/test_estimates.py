"""Estimates against log Z known in closed form, by quadrature or by enumeration.

A comparison at 4.5 standard errors of the estimate's own fails once in 100,000, where it's normal.
"""

import itertools
import math

import pytest
import torch
from ebmcore_estimators import Gaussian, Path, Uniform, ais, bracket, reverse_ais, sigmoid, smc

from ebmcore import Binary, Categorical

WIDE = {"dtype": torch.float64}


def base_of(numbers, scale=2.0):
    return Gaussian.standard((numbers,), scale=scale, **WIDE)


@pytest.mark.parametrize("estimate", [ais, smc])
@pytest.mark.parametrize("name", ["gaussian", "mixture", "wells"])
def test_log_z_is_the_known_one(estimate, name, known, seeded):
    energy, true, numbers = {
        "gaussian": (known.gaussian, known.of_gaussian, 3),
        "mixture": (known.mixture, known.of_mixture, 2),
        "wells": (known.wells, known.of_wells(4), 4),
    }[name]
    found = estimate(energy, base_of(numbers), n=1024, generator=seeded)
    assert abs(found.log_z - true) < 4.5 * found.standard_error
    assert found.standard_error < 0.1
    assert 100 < found.ess <= 1024
    assert float(found.weights.sum()) == pytest.approx(1)


@pytest.mark.parametrize("space", [Binary(), Categorical(3)])
def test_log_z_of_discrete_events_is_the_enumerated_one(space, seeded):
    (k,) = space.sizes((1,))
    events = torch.tensor(list(itertools.product(range(k), repeat=5)))
    couple = torch.randn(5, 5, generator=seeded, dtype=torch.float64)

    def energy(x):
        x = x.double()
        return -((x @ couple) * x).sum(1)

    true = float(torch.logsumexp(-energy(events), 0))
    base = Uniform((5,), space, **WIDE)
    found = bracket(energy, base, n=512, generator=seeded)
    for end in (found.forward, found.reverse):
        assert abs(end.log_z - true) < 4.5 * end.standard_error + 1e-9
        assert end.standard_error < 0.06


def test_expectations_by_the_weights(known, seeded):
    found = smc(known.mixture, base_of(2), n=2048, generator=seeded)
    share = found.mean((found.x[:, 0] > 0).double())
    # the effective starts bound the precision: p = ¾
    assert abs(share - 0.75) < 4.5 * math.sqrt(0.75 * 0.25 / found.ess)


def test_a_sigmoidal_path_and_one_of_before(known, seeded):
    found = ais(known.wells, base_of(2), n=1000, betas=sigmoid(40), generator=seeded)
    assert found.path.betas == sigmoid(40)
    again = ais(known.wells, base_of(2), n=1000, path=found.path, generator=seeded)
    assert again.path is found.path
    for each in (found, again):
        assert abs(each.log_z - known.of_wells(2)) < 4.5 * each.standard_error
    assert ais(known.wells, base_of(2), n=64, steps=7, generator=seeded).path.steps == 7


def test_the_error_is_that_of_repeated_estimates(known, seeded):
    base, repeats = base_of(2), 40
    path = ais(known.wells, base, n=64, steps=10, generator=seeded).path
    for estimate in (ais, smc):
        all_of = [
            estimate(known.wells, base, n=256, path=path, generator=seeded) for _ in range(repeats)
        ]
        found = torch.tensor([each.log_z for each in all_of])
        said = torch.tensor([each.standard_error for each in all_of]).square().mean().sqrt()
        # a standard deviation of 40 draws is known to 1/√78, 11 %
        assert float(found.std() / said) == pytest.approx(1, abs=4 * 0.113)
        bias = float(found.mean()) - known.of_wells(2)
        assert abs(bias) < 4.5 * float(said) / math.sqrt(repeats) + float(said) ** 2


def test_forward_is_too_low_and_reverse_too_high(known, seeded):
    base, path = base_of(2, scale=1.0), Path((0.0, 0.3, 1.0), torch.full((3,), 0.3).double())
    low, high = [], []
    for _ in range(120):
        exact = known.draw_mixture(20, seeded)
        low.append(ais(known.mixture, base, n=20, path=path, generator=seeded).log_z)
        high.append(reverse_ais(known.mixture, base, exact, path=path, generator=seeded).log_z)
    for found, sign in ((low, 1), (high, -1)):
        values = sign * (known.of_mixture - torch.tensor(found))
        assert float(values.mean()) > 4 * float(values.std()) / math.sqrt(120)


def test_a_mode_that_the_walkers_miss_is_seen_from_the_data(known, seeded):
    def apart(x):
        return known.mixture(x / 4)  # wells at ±8, sd 2: the same barrier

    base = Gaussian(torch.full((2,), 8.0).double(), torch.ones(2).double())
    true = known.of_mixture + 2 * math.log(4)
    data = 4 * known.draw_mixture(500, seeded)
    path = smc(apart, base, n=256, steps=20, generator=seeded).path
    blind = bracket(apart, base, n=256, path=path, generator=seeded)
    seen = bracket(apart, base, n=256, path=path, data=data, generator=seeded)
    assert blind.high < true - 0.1  # only the well of weight ¾
    assert seen.low < true < seen.high
    assert seen.width > 0.25


def test_a_single_start_counts_once(known, seeded):
    def narrow(x):
        return 1e4 * (x - 1).square().sum(1)

    found = ais(narrow, base_of(3), n=64, path=Path((0.0, 1.0), torch.ones(2)), generator=seeded)
    assert found.ess == pytest.approx(1, abs=1e-3)
    same = base_of(3)
    equal = ais(same.energy, same, n=64, path=Path((0.0, 1.0), torch.ones(2)), generator=seeded)
    assert equal.ess == pytest.approx(64)
    assert (equal.log_z, equal.standard_error) == (pytest.approx(0), pytest.approx(0))


@pytest.mark.parametrize(
    ("estimate", "how", "message"),
    [
        (ais, {"n": 1}, "n should be at least 2; got 1"),
        (ais, {"leapfrog": 0}, "leapfrog should be at least 1; got 0"),
        (ais, {"jumps": -1}, "jumps should be at least 0; got -1"),
        (ais, {"moves": 0}, "moves should be at least 1; got 0"),
        (ais, {"betas": (0.0, 0.5)}, "betas should rise from 0 to 1"),
        (smc, {"groups": 1}, "at least 2 and divide 1024 walkers; got 1"),
        (smc, {"n": 100}, "divide 100 walkers; got 16"),
        (smc, {"resample_at": 0.0}, "above 0 and at most 1; got 0"),
        (bracket, {"resample_at": 1.5}, "above 0 and at most 1; got 1.5"),
    ],
)
def test_what_an_estimate_refuses(estimate, how, message, known):
    with pytest.raises(ValueError, match=message):
        estimate(known.wells, base_of(2), **how)
