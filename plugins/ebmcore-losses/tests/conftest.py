"""Energies with answers in closed form, and points without sampling error, for these tests."""

import pytest
import torch
from torch import nn


class Quadratic(nn.Module):
    """E(x) = ½ (x - μ)ᵀ P (x - μ) + c, with P = L Lᵀ and L lower triangular."""

    def __init__(self, precision, mean, constant=0.0):
        super().__init__()
        factor = torch.linalg.cholesky(torch.as_tensor(precision).double())
        self.factor = nn.Parameter(factor.contiguous())  # as LBFGS needs it
        self.mean = nn.Parameter(torch.as_tensor(mean).double())
        self.constant = constant

    @property
    def precision(self):
        lower = self.factor.tril()
        return lower @ lower.mT

    def forward(self, x):
        return 0.5 * ((x - self.mean) @ self.factor.tril()).square().sum(-1) + self.constant


class Wavy(nn.Module):
    """E(x) = Σ w cos(A x) + ½ |x|²: smooth, its Hessian neither constant nor diagonal."""

    def __init__(self, elements, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.inner = nn.Parameter(torch.randn(5, elements, generator=generator).double())
        self.outer = nn.Parameter(torch.randn(5, generator=generator).double())

    def forward(self, x):
        flat = x.flatten(1)
        return (flat @ self.inner.mT).cos() @ self.outer + 0.5 * flat.square().sum(1)


def exact_draws(n, mean, covariance, seed=0):
    """Points whose sample mean and covariance are exactly the law's: no sampling error is left."""
    d = len(covariance)
    z = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    z = z - z.mean(0)
    z = z @ torch.linalg.inv(torch.linalg.cholesky(z.mT @ z / n)).mT
    return mean + z @ torch.linalg.cholesky(covariance).mT


def minimise(value, parameters):
    """Minimise value() to float precision."""
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=200, tolerance_grad=1e-10, tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        loss = value()
        loss.backward()
        return loss

    optimizer.step(closure)


def assert_gradient_is_that_of_differences(value, parameters, h=1e-5, tolerance=1e-7, of=None):
    """Compare autograd with central differences along a random direction for each parameter.

    The differences are those of `of`, by default of the value itself.
    """
    of = of or value
    gradients = torch.autograd.grad(value(), parameters, materialize_grads=True)
    generator = torch.Generator().manual_seed(17)
    seen = 0.0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        v = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        moved = []
        for sign in (1, -1, -1, 1):  # there, and back; and so on the other side
            with torch.no_grad():
                parameter.add_(v, alpha=sign * h)
            moved.append(of().detach())
        difference = (moved[0] - moved[2]) / (2 * h)
        found = (gradient * v).sum()
        size = max(1.0, abs(difference.item()))
        assert abs(found - difference).item() < tolerance * size
        seen = max(seen, abs(difference.item()))
    assert seen > 1e-3  # or nothing was tested


@pytest.fixture(scope="session")
def covariance():
    return torch.tensor([[1.0, 0.4], [0.4, 0.5]], dtype=torch.float64)


@pytest.fixture(scope="session")
def mu():
    return torch.tensor([0.3, -0.8], dtype=torch.float64)


@pytest.fixture
def start():
    """A quadratic energy that is far from everything that the tests look for."""
    return Quadratic(torch.tensor([[2.0, 0.3], [0.3, 1.0]]), [0.1, 0.2])


@pytest.fixture(scope="session")
def tools():
    """The functions above, which a test's module can't import."""
    from types import SimpleNamespace

    return SimpleNamespace(
        Quadratic=Quadratic,
        Wavy=Wavy,
        exact_draws=exact_draws,
        minimise=minimise,
        assert_gradient_is_that_of_differences=assert_gradient_is_that_of_differences,
    )
