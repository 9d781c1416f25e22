import torch
from ebmcore_monitors.likelihood.quadrature import _log_weights
from torch.testing import assert_close


def test_weights_are_those_of_the_trapezoid():
    weights = _log_weights((3, 2), (0.5, 2.0)).exp().reshape(3, 2)
    expected = torch.tensor([[0.25, 0.25], [0.5, 0.5], [0.25, 0.25]])
    assert_close(weights, expected.double())
