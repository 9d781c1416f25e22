"""Results that differ are told apart from results that were rounded."""

import pytest
import torch

from ebmcore.compile.functions import LossResult
from ebmcore.compile.graph import nearly_equal, results_agree
from ebmcore.compile.verify import check_losses, check_samples
from ebmcore.contracts import Sample
from ebmcore.errors import GraphError

X = torch.linspace(-1, 1, 40).reshape(20, 2)
ONE = torch.tensor(1.0)


def off(rows, by=0.1):
    """X with so many rows that are off in one element."""
    x = X.clone()
    x[:rows, 0] += by
    return x


@pytest.mark.parametrize(
    ("found", "expected", "equal"),
    [
        (off(20, 1e-4), X, True),
        (off(2), X, True),  # one row of ten may differ
        (off(3), X, False),
        (off(20, 1e-4).double(), X.double(), False),
        (off(20, 1e-7).double(), X.double(), True),
        (X.double(), X, False),
        (X[:19], X, False),
        (ONE, ONE + 1e-4, True),
        (ONE, ONE + 1e-2, False),
        (ONE * torch.nan, ONE * torch.nan, True),
    ],
)
def test_nine_rows_of_ten_agree_but_for_rounding(found, expected, equal):
    assert nearly_equal(found, expected) is equal
    assert results_agree({"a": [found, 3]}, {"a": [expected, 3]}) is equal


def test_samples_that_differ_are_refused():
    check_samples(None, None)
    check_samples(Sample(off(2), None, {"p": X}), Sample(X, None, {"p": off(2)}))
    with pytest.raises(GraphError, match="samples differ"):
        check_samples(Sample(off(3)), Sample(X))
    with pytest.raises(GraphError, match="carry on another 'p'"):
        check_samples(Sample(X, None, {"p": off(3)}), Sample(X, None, {"p": X}))


@pytest.mark.parametrize(
    ("metrics", "gradients", "match"),
    [
        ({"loss": ONE}, [X, None], ""),
        ({"loss": ONE}, [1.005 * X, None], ""),
        ({"loss": ONE}, [1.02 * X, None], "gradients differ"),
        ({"loss": ONE}, [X, X], "gradients of different parameters"),
        ({"loss": ONE}, [None, None], "gradients of different parameters"),
        ({"loss": 1.01 * ONE}, [X, None], "loss is 1.01 compiled and 1 eager"),
        ({"loss": ONE, "gap": ONE}, [X, None], "log different metrics"),
    ],
)
def test_losses_that_differ_are_refused(metrics, gradients, match):
    expected = LossResult({"loss": ONE}, [X, None])
    if not match:
        check_losses(LossResult(metrics, gradients), expected)
        return
    with pytest.raises(GraphError, match=match):
        check_losses(LossResult(metrics, gradients), expected)
