import math

import pytest
import torch
from ebmcore_monitors.statistics.convergence import (
    FEWEST,
    _effective,
    _potential_scale_reduction,
    ess_bulk,
    ess_mean,
    ess_quantile,
    ess_tail,
    mcse_mean,
    mcse_quantile,
    rhat,
)

CORRELATION = {"ar": 0.7, "shifted": 0.0, "antithetic": -0.5, "rounded": 0.3, "wide": 0.0}
ARVIZ = {  # rhat, ess(method="bulk"), ess(method="tail") of arviz 0.19.0 for `series` below
    "ar": (1.02722899848253, 162.369367849517, 321.8417232025412),
    "shifted": (1.331318375341424, 9.979242964535576, 52.16904641139485),
    "antithetic": (1.002120682804475, 2322.471989593555, 798.1015960926964),
    "rounded": (1.0042464157341575, 510.5462330482544, 656.3764158832968),
    "wide": (1.1745595484348332, 903.6289856568874, 372.59210050679184),
}


# ess_mean, mcse_mean, ess_quantile(0.05), mcse_quantile(0.05), (0.5) of arviz-stats 0.8.0
ERRORS = {
    "ar": (
        163.1430811,
        0.057523760843,
        321.8417232,
        0.062110467472,
        0.059291256994,
    ),
    "shifted": (
        9.92689634,
        0.22854286086,
        66.730470296,
        0.17296340764,
        0.22958618551,
    ),
    "antithetic": (
        2322.4719896,
        0.013268180814,
        890.71606669,
        0.059967574816,
        0.01759396746,
    ),
    "rounded": (
        511.86678656,
        0.025326261108,
        716.69921251,
        0.1,
        0.0,
    ),
    "wide": (
        904.67538425,
        0.050119968402,
        624.76024106,
        0.16857062327,
        0.058509290218,
    ),
}


def series(kind, draws=200, chains=4):
    """AR(1) chains driven by a congruential generator of their own, so the same anywhere."""
    state, x = 12345, torch.zeros(draws, chains, dtype=torch.float64)
    for c in range(chains):
        at = 0.0
        for t in range(draws):
            total = 0.0
            for _ in range(4):
                state = (1103515245 * state + 12345) % 2**31
                total += state / 2**31 - 0.5
            at = CORRELATION[kind] * at + total
            x[t, c] = at
    each = torch.arange(chains, dtype=torch.float64)
    match kind:
        case "shifted":
            return x + 0.4 * each
        case "rounded":
            return (x * 10).round() / 10
        case "wide":
            return x * (1 + each)
    return x


@pytest.mark.parametrize("kind", ARVIZ)
def test_numbers_are_those_of_arviz(kind):
    x = series(kind)
    assert (rhat(x), ess_bulk(x), ess_tail(x)) == pytest.approx(ARVIZ[kind], rel=1e-9)


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_those_of_arviz(kind):
    x = series(kind)
    found = (ess_mean(x), mcse_mean(x), ess_quantile(x, 0.05), mcse_quantile(x, 0.05))
    assert (*found, mcse_quantile(x, 0.5)) == pytest.approx(ERRORS[kind], rel=1e-9, abs=1e-11)


def by_loops(x):
    """Stan's effective sample size, one number at a time: `x` is a list of chains."""
    m, n = len(x), len(x[0])
    means = [sum(chain) / n for chain in x]

    def autocovariance(chain, mean, lag):
        products = ((chain[i] - mean) * (chain[i + lag] - mean) for i in range(n - lag))
        return sum(products) / n

    covariances = [
        sum(autocovariance(c, mu, t) for c, mu in zip(x, means, strict=True)) / m for t in range(n)
    ]
    within = covariances[0] * n / (n - 1)
    centre = sum(means) / m
    variance = covariances[0] + sum((mu - centre) ** 2 for mu in means) / (m - 1)
    rho = [1.0] + [1 - (within - covariance) / variance for covariance in covariances[1:]]
    total, previous, t = 0.0, math.inf, 0
    while t + 1 < n and rho[t] + rho[t + 1] > 0 and t < n - 4:
        previous = min(previous, rho[t] + rho[t + 1])
        total += previous
        t += 2
    return m * n / (2 * total - 1 + max(rho[t], 0.0))


@pytest.mark.parametrize("kind", ["ar", "shifted", "wide"])
def test_effective_size_is_that_of_plain_loops(kind):
    x = series(kind, draws=60)
    assert _effective(x) == pytest.approx(by_loops(x.T.tolist()), rel=1e-10)


def test_scale_reduction_by_hand():
    # variances ½ in each chain, n = 2; means ½, ½, 2½, 2½ with variance 4/3
    x = torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 3.0]])
    assert _potential_scale_reduction(x) == pytest.approx(math.sqrt((0.25 + 4 / 3) / 0.5))


def test_chains_that_agree_have_rhat_1():
    x = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
    # E[R²] is 1 + O(1/n) for 16 halves of 500; R² - 1 + 1/n is F(15, ∞)/n with sd √(2/15)/n, twice
    # over for bulk and spread: 1 + 10/(2n) is beyond 10 of those
    assert 1 - 1 / 500 < rhat(x) < 1 + 5 / 500


def test_ranks_hide_no_difference_in_spread():
    x = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    x[:, 0] *= 5
    assert rhat(x) > 1.1  # the means agree: only the folded numbers differ


@pytest.mark.parametrize("rho", [0.0, 0.5, -0.3])
def test_effective_size_of_autoregressive_chains_closed_form(rho):
    g = torch.Generator().manual_seed(1)
    repeats, n, m = 24, 2000, 4
    noise = torch.randn(n, m * repeats, generator=g, dtype=torch.float64)
    x = torch.empty_like(noise)
    x[0] = noise[0]
    for t in range(1, n):
        x[t] = rho * x[t - 1] + math.sqrt(1 - rho**2) * noise[t]
    found = torch.tensor([ess_bulk(chains) for chains in x.split(m, dim=1)]) / (n * m)
    expected = (1 - rho) / (1 + rho)
    # 24 independent estimates: 4 of their own standard errors (student's t with 23 degrees: once in
    # 1,700), and 3 % for Geyer's rule, which keeps a little noise at the end of its sum
    error = float(found.std()) / math.sqrt(repeats)
    assert abs(float(found.mean()) - expected) < 4 * error + 0.03 * expected


def test_a_drift_within_a_chain_counts():
    drift = torch.linspace(0, 3, 400)[:, None]
    x = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    assert rhat(x + drift) > 1.2


@pytest.mark.parametrize("judge", [rhat, ess_bulk, ess_tail, ess_mean, mcse_mean])
def test_statistics_of_bad_chains_are_none(judge):
    assert judge(torch.ones(100, 4)) is None
    assert judge(torch.randn(FEWEST - 1, 4, generator=torch.Generator().manual_seed(0))) is None
    x = series("ar")
    x[3, 1] = math.nan
    assert judge(x) is None


def test_constant_chains_that_differ_have_infinite_rhat():
    assert rhat(torch.arange(4.0).expand(50, 4)) == math.inf
