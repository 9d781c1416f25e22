"""The interval of a median and the test of a difference, against enumeration and exact laws."""

import itertools
import math
import re

import numpy as np
import pytest
from ebmcore_sweep.seeds.statistics import compare, intervals, mann_whitney, median_law, spread
from scipy.stats import binom, mannwhitneyu

from support import ROOT


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_the_law_of_the_median_is_that_of_all_resamples(n):
    values = np.random.default_rng(n).normal(size=n)
    values.sort()
    resampled = np.array([np.median(r) for r in itertools.product(values, repeat=n)])
    first, second, weights = median_law(n)
    medians = (values[first] + values[second]) / 2
    assert math.isclose(weights.sum(), 1.0, rel_tol=1e-12)
    for median, weight in zip(medians, weights, strict=True):
        assert math.isclose(np.isclose(resampled, median).mean(), weight, abs_tol=1e-12)
    low, _, high = intervals(values[None, :])
    resampled.sort()
    tail = 0.025 * len(resampled)
    assert math.isclose(low[0], resampled[math.ceil(tail) - 1], rel_tol=1e-12)
    assert math.isclose(high[0], resampled[len(resampled) - math.ceil(tail)], rel_tol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_below_six_the_interval_is_the_range(n):
    values = np.random.default_rng(0).normal(size=n)
    found = spread(values)
    assert math.isclose(found.median, np.median(values))
    assert ((found.low, found.high) == (values.min(), values.max())) is (n < 6)


def cells(title):
    """Read a row of numbers under a row of numbers of runs, from the page of docs."""
    text = (ROOT / "docs" / "seeds.md").read_text()
    runs, values = re.search(rf"\| runs \|(.*)\|\n\|.*\n\| {title} \|(.*)\|\n", text).groups()
    pairs = zip(runs.split("|"), values.split("|"), strict=True)
    return [tuple(cell.strip() for cell in pair) for pair in pairs]


def test_the_page_says_how_often_the_interval_covers():
    found = cells("coverage")
    assert len(found) == 7
    for runs, said in found:
        n = int(runs)
        low, _, high = intervals(np.arange(1.0, n + 1)[None, :])
        law = binom(n, 0.5)
        exact = law.cdf(int(high[0]) - 1) - law.cdf(int(low[0]) - 1)
        assert abs(float(said.removesuffix(" %")) / 100 - exact) < 0.0006


def test_the_page_says_what_p_few_runs_can_give():
    found = cells("least p")
    assert len(found) == 4
    for runs, said in found:
        n, m = map(int, runs.split(" v "))
        least = mann_whitney(range(n), range(n, n + m))
        assert math.isclose(compare(range(n), range(n, n + m)).least_p, least)
        assert abs(float(said) - least) < 0.0006


@pytest.mark.parametrize("n", [3, 5, 7, 15])
def test_the_interval_covers_as_often_as_its_law_says(n):
    """For odd n it runs from one order statistic to another, so its coverage is binomial.

    False alarms: 4 standard errors for each of 4 sizes, 3e-4 in all; the seed is fixed.
    """
    trials = 20_000
    draws = np.random.default_rng(n).standard_exponential((trials, n))
    low, _, high = intervals(draws)
    true = math.log(2)
    covered = ((low <= true) & (true <= high)).mean()
    ordered = np.sort(draws, axis=1)
    begin = int(np.flatnonzero(ordered[0] == low[0])[0])  # counted from 0
    end = int(np.flatnonzero(ordered[0] == high[0])[0])
    law = binom(n, 0.5)
    exact = law.cdf(end) - law.cdf(
        begin
    )  # the number of values below the median is in (begin, end]
    assert exact > {3: 0.74, 5: 0.93, 7: 0.87, 15: 0.88}[n]
    assert abs(covered - exact) < 4 * math.sqrt(exact * (1 - exact) / trials)


def test_the_interval_of_an_even_number_covers_about_as_often():
    """20 values, 95 % nominal; 4000 trials have a standard error of 0.4 %: false alarms 1e-4."""
    draws = np.random.default_rng(1).normal(size=(4000, 20))
    low, _, high = intervals(draws)
    covered = ((low <= 0) & (high >= 0)).mean()
    assert 0.92 < covered < 0.97


def test_what_is_no_number_stays_one_that_nobody_knows():
    nan, inf = math.nan, math.inf
    low, median, high = intervals(np.array([[1.0, nan, 2.0], [1.0, 2.0, inf], [inf, inf, inf]]))
    np.testing.assert_array_equal(low, [nan, 1.0, inf])
    np.testing.assert_array_equal(median, [nan, 2.0, inf])
    np.testing.assert_array_equal(high, [nan, inf, inf])
    one = spread([4.0])
    assert (one.median, one.n) == (4.0, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    with pytest.raises(ValueError, match="no values"):
        spread([])
    assert math.isnan(compare([1.0, nan], [1.0, 2.0]).p)


@pytest.mark.parametrize(("n", "m"), [(3, 3), (4, 6), (8, 5)])
def test_the_rank_test_is_the_exact_one(n, m):
    draws = np.random.default_rng(n)
    a, b = draws.normal(size=n), draws.normal(0.8, size=m)
    exact = mannwhitneyu(a, b, method="exact").pvalue
    assert math.isclose(mann_whitney(a, b), exact, rel_tol=1e-9)


def test_ties_are_dealt_in_all_ways():
    a, b = [1.0, 1.0, 2.0, 3.0], [2.0, 3.0, 3.0, 4.0, 4.0]
    ranks = {1.0: 1.5, 2.0: 3.5, 3.0: 6.0, 4.0: 8.5}
    pooled = [ranks[v] for v in (*a, *b)]
    far = abs(sum(pooled[:4]) - 20.0)
    deals = [abs(sum(deal) - 20.0) >= far for deal in itertools.combinations(pooled, 4)]
    assert math.isclose(mann_whitney(a, b), sum(deals) / len(deals), rel_tol=1e-12)
    assert mann_whitney([1.0, 1.0], [1.0, 1.0, 1.0]) == 1.0


def test_few_runs_cannot_differ_and_more_can():
    near, far = [1.0, 2.0, 3.0], [11.0, 12.0, 13.0]
    found = compare(near, far)
    assert (found.difference, found.low, found.high) == (10.0, 8.0, 12.0)
    assert math.isclose(found.p, 0.1)
    assert math.isclose(found.least_p, 0.1)
    found = compare([*near, 4.0, 5.0], [*far, 14.0, 15.0])
    assert math.isclose(found.p, 2 / 252)
    assert found.difference == 10.0
    assert compare([1.0], [2.0]).p == 1.0


def test_groups_of_one_law_differ_as_seldom_as_the_level_says():
    """False alarms of this test: 6e-5, four standard errors of 2000 pairs; the seed is fixed."""
    draws = np.random.default_rng(5).normal(size=(2000, 10))
    ps = [mann_whitney(row[:5], row[5:]) for row in draws]
    exact = mannwhitneyu(range(5), range(5, 10), method="exact").pvalue
    assert min(ps) >= exact * (1 - 1e-9)
    share = np.mean(np.array(ps) < 0.05)
    law = 8 / 252  # of the deals have p < 0.05: rank sums 15, 16, 17 and their mirrors
    assert abs(share - law) < 4 * math.sqrt(law * (1 - law) / 2000)
