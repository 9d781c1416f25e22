import numpy as np
import pytest
import torch
from ebmcore_monitors.tables.components import components
from sklearn.decomposition import PCA


def test_components_are_those_of_scikit_learn():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(90, 2, generator=g, dtype=torch.float64) @ torch.randn(
        2, 5, generator=g, dtype=torch.float64
    ) + 0.1 * torch.randn(90, 5, generator=g, dtype=torch.float64)
    x = x * torch.tensor([1.0, 1e3, 1.0, 1e-3, 0.0]) + 7.0
    found = components(x)
    z = ((x - x.mean(0)) / x.std(0).where(x.std(0) > 0, 1.0)).numpy()
    expected = PCA(2).fit(z)
    assert found.shares == pytest.approx(expected.explained_variance_ratio_.tolist())
    places = expected.transform(z)
    signs = np.sign((places * found(x).numpy()).sum(0))
    np.testing.assert_allclose(found(x).numpy(), places * signs, atol=1e-9)
    largest = found.directions.abs().argmax(0)
    assert (found.directions[largest, [0, 1]] > 0).all()


def test_columns_that_never_vary_have_a_place():
    found = components(torch.ones(4, 3, dtype=torch.float64))
    assert found(torch.ones(2, 3, dtype=torch.float64)).tolist() == [[0, 0], [0, 0]]
    assert found.shares == (0, 0)
