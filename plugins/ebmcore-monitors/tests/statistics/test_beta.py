import math

import pytest
from ebmcore_monitors.statistics.beta import beta_quantile
from scipy.stats import beta


@pytest.mark.parametrize("p", [1e-3, 0.1586553, 0.5, 0.8413447])
@pytest.mark.parametrize(
    ("a", "b"), [(1.0, 1.0), (1.0, 7.0), (9.5, 1.2), (51.0, 951.0), (5e4, 3e4)]
)
def test_quantiles_are_those_of_scipy(p, a, b):
    assert beta_quantile(p, a, b) == pytest.approx(float(beta.ppf(p, a, b)), rel=1e-9)


def test_quantiles_in_closed_form():
    assert beta_quantile(0.3, 1.0, 1.0) == pytest.approx(0.3)
    assert beta_quantile(0.3, 4.0, 1.0) == pytest.approx(0.3**0.25)  # P(X <= x) = x^a
    with pytest.raises(ValueError, match=r"needs 0 < p < 1 and a, b >= 1; got p = 1, a = nan"):
        beta_quantile(1, math.nan, 2.0)
