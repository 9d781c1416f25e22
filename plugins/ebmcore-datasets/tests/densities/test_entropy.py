import math

import pytest
import torch
from ebmcore_datasets.densities.curve import gauss_legendre, log_density_around
from ebmcore_datasets.densities.entropy import by_draws, by_grid


def gaussian(std, shift=0.0):
    return lambda x: (
        -(x - shift).square().sum(1) / (2 * std**2)
        - x.shape[1] / 2 * math.log(2 * math.pi * std**2)
    )


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize("std", [0.05, 1.3])
def test_a_grid_knows_a_gaussian(dimension, std):
    box = 10 * std * torch.tensor([[-1.0] * dimension, [1.0] * dimension]).double()
    found = by_grid(gaussian(std), box, std / 2)
    expected = dimension / 2 * math.log(2 * math.pi * math.e * std**2)
    assert found.value == pytest.approx(expected, abs=1e-10)
    assert found.error < 1e-7


def test_a_grid_without_all_the_mass_gives_none():
    box = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    assert by_grid(gaussian(1.0), box, 0.01) is None
    half = gaussian(0.05)
    assert by_grid(lambda x: half(x) - math.log(2), box, 0.01) is None


def test_a_grid_that_would_be_too_large_gives_none():
    box = torch.tensor([[-9.0, -9.0], [9.0, 9.0]], dtype=torch.float64)
    assert by_grid(gaussian(0.01), box, 0.005) is None


def test_entropy_by_samples_of_a_gaussian_around_a_gaussian():
    """Within five standard errors, which are small: the information varies by half a nat."""
    generator = torch.Generator().manual_seed(0)
    z, noise = torch.randn(2, 20_000, 3, generator=generator, dtype=torch.float64)
    x = 0.6 * z + 0.8 * noise
    given = 3 / 2 * math.log(2 * math.pi * math.e * 0.64)
    found = by_draws(gaussian(1.0)(x), gaussian(0.8, 0.6 * z)(x), given)
    assert 1e-4 < found.error < 0.01
    assert abs(found.value - 3 / 2 * math.log(2 * math.pi * math.e)) < 5 * found.error


def test_the_standard_error_is_that_of_the_estimates():
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(400):
        z, noise = torch.randn(2, 100, 1, generator=generator, dtype=torch.float64)
        x = z + noise
        found.append(by_draws(gaussian(math.sqrt(2))(x), gaussian(1.0, z)(x), 1.4189385))
    values = torch.tensor([entropy.value for entropy in found])
    error = torch.tensor([entropy.error for entropy in found]).square().mean().sqrt()
    # the deviation of 400 numbers is known to 1/√800 of itself; five times that
    assert abs(values.std().item() / error.item() - 1) < 5 / math.sqrt(800) + 0.02


def test_panels_integrate():
    edges = torch.tensor([0.0, 0.3, 1.0, 2.0], dtype=torch.float64)
    nodes, weights = gauss_legendre(edges)
    assert weights.sum().item() == pytest.approx(2, abs=1e-13)
    for power in (1, 2, 7, 31):
        expected = 2 ** (power + 1) / (power + 1)
        assert (weights * nodes**power).sum().item() == pytest.approx(expected, rel=1e-12)
    assert ((nodes > 0) & (nodes < 2)).all()


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_log_density_around_is_the_sum_over_the_centers(dimension):
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(40, dimension, generator=generator, dtype=torch.float64)
    centers = torch.randn(9, dimension, generator=generator, dtype=torch.float64)
    weights = torch.rand(9, generator=generator, dtype=torch.float64)
    found = log_density_around(x, centers, weights.log(), 0.4)
    parts = [w.log() + gaussian(0.4, c)(x) for w, c in zip(weights, centers, strict=True)]
    torch.testing.assert_close(found, torch.stack(parts).logsumexp(0), rtol=1e-12, atol=1e-11)
