"""Whitening: the covariance of scikit-learn's Ledoit-Wolf estimate, and rows that span no space."""

import pytest
import torch
from ebmcore_transforms import Whiten
from sklearn.covariance import ledoit_wolf

from ebmcore import Real, Transforms


@pytest.mark.parametrize(("rows", "columns"), [(500, 4), (30, 5), (20, 50)])
def test_the_covariance_is_ledoit_and_wolfs(rows, columns):
    generator = torch.Generator().manual_seed(rows)
    mix = torch.randn(columns, columns, generator=generator, dtype=torch.float64)
    x = torch.randn(rows, columns, generator=generator, dtype=torch.float64) @ mix + 3
    one = Whiten()
    one.fit(x)
    expected = torch.from_numpy(ledoit_wolf(x.numpy())[0])
    torch.testing.assert_close(one.from_white @ one.from_white, expected)
    torch.testing.assert_close(one.to_white @ expected @ one.to_white, torch.eye(columns).double())
    half = 0.5 * torch.logdet(expected)
    torch.testing.assert_close(one.log_abs_det(x), -half.expand(rows))


@pytest.mark.parametrize("rows", [1, 12])
def test_rows_that_are_all_the_same_are_shifted(rows):
    x = torch.full((rows, 2, 3), 5.0)
    transforms = Transforms([Whiten()])
    assert (transforms.fit(x, Real()) == 0).all()
    (warning,) = transforms.warnings
    assert "all the same" in warning
    torch.testing.assert_close(transforms.inverse(torch.ones(2, 2, 3)), torch.full((2, 2, 3), 6.0))
