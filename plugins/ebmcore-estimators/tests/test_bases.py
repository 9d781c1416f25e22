import math

import pytest
import torch
from ebmcore_estimators import Gaussian, Uniform
from torch.distributions import MultivariateNormal

from ebmcore import Binary, Categorical, Real

ROOT = torch.tensor([[2.0, 0.0], [0.6, 0.5]], dtype=torch.float64)
MEAN = torch.tensor([1.0, -1.0], dtype=torch.float64)


@pytest.mark.parametrize("root", [ROOT, torch.tensor([0.5, 2.0]).double()])
def test_a_gaussian_is_that_of_torch(root, seeded):
    base = Gaussian(MEAN, root)
    law = MultivariateNormal(MEAN, scale_tril=root if root.ndim == 2 else root.diag())
    x = torch.randn(5, 2, generator=seeded, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(base.energy(x), -law.log_prob(x))
    z = base.whitened(x)
    torch.testing.assert_close(base.at(z), x)
    (score,) = torch.autograd.grad(-base.energy(x).sum(), x)
    torch.testing.assert_close(base.pulled(score), -z)  # the score of N(0, I) in z
    drawn = base.sample(20_000, seeded)
    error = law.variance.sqrt() / math.sqrt(20_000)
    assert ((drawn.mean(0) - MEAN).abs() < 5 * error).all()
    covariance = drawn.T.cov()
    torch.testing.assert_close(covariance, law.covariance_matrix, rtol=0.05, atol=0.1)


def test_a_fit_keeps_variances_and_shrinks_correlations(seeded):
    x = MEAN + torch.randn(100, 2, generator=seeded, dtype=torch.float64) @ ROOT.T
    base = Gaussian.fitted(x.reshape(100, 1, 2))
    assert base.event_shape == (1, 2)
    found, sample = base.root @ base.root.T, x.T.cov()
    torch.testing.assert_close(base.mean, x.mean(0))
    ridge = 1e-3 * sample.diagonal().mean()
    torch.testing.assert_close(found.diagonal(), sample.diagonal() + ridge)
    torch.testing.assert_close(found[0, 1], sample[0, 1] * 100 / 102)
    few = Gaussian.fitted(x[:3])
    assert few.root.ndim == 1  # too few for correlations


def test_a_constant_number_has_a_width():
    x = torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0], [1.0, 1.0]])
    base = Gaussian.fitted(x)
    assert base.energy(x).isfinite().all()
    assert base.sample(10, None)[:, 1].std() > 0


@pytest.mark.parametrize(("space", "count"), [(Binary(), 2), (Categorical(3), 3)])
def test_uniform_energies_are_the_log_of_the_number_of_events(space, count, seeded):
    base = Uniform((2, 2), space)
    x = base.sample(50, seeded)
    space.check(x)
    assert x.dtype == space.dtype_in(torch.float32)
    torch.testing.assert_close(base.energy(x), torch.full((50,), 4 * math.log(count)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(MEAN, torch.ones(3)), r"\(2,\) or \(2, 2\) .*; got \(3,\)"),
        (lambda: Gaussian(MEAN, torch.zeros(2)), "a positive diagonal"),
        (lambda: Gaussian.fitted(torch.zeros(1, 2)), "two points or more; got 1"),
        (lambda: Uniform((2,), Real()), "real events have no uniform law; give a Gaussian"),
    ],
)
def test_what_a_base_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
