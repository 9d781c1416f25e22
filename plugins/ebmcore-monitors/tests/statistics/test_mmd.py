import math

import pytest
import torch
from ebmcore_monitors.statistics.mmd import gaussian_kernel, polynomial_kernel, squared_mmd


def test_mmd_by_hand(first):
    # distances 1, 2, 4, 1, 3, 2: median 2
    kernel = gaussian_kernel(torch.tensor([[0.0], [1.0], [2.0], [4.0]], dtype=torch.float64))
    k = [math.exp(-(distance**2) / 8) for distance in range(5)]
    expected = k[1] + k[2] - 2 * (k[2] + k[4] + k[1] + k[3]) / 4
    assert squared_mmd(kernel, first(2, 2)).item() == pytest.approx(expected, abs=1e-12)


def test_mmd_of_samples_of_two_sizes_is_the_double_sum(first, normal):
    x, y = normal(3, 2, 0), normal(5, 2, 1) + 1
    kernel = gaussian_kernel(torch.cat([x, y]))

    def mean(rows, columns):
        pairs = [(i, j) for i in rows for j in columns if i != j]
        return sum(float(kernel[i, j]) for i, j in pairs) / len(pairs)

    a, b = range(3), range(3, 8)
    expected = mean(a, a) + mean(b, b) - 2 * mean(a, b)
    assert squared_mmd(kernel, first(3, 5)).item() == pytest.approx(expected, abs=1e-12)


def test_mmd_of_gaussians_is_the_closed_form(first, normal):
    d, shift, s, n = 2, 1.5, 1.3, 40
    labels, found = first(n, n), []
    for seed in range(256):
        pooled = normal(2 * n, d, seed)
        pooled[n:, 0] += shift
        kernel = torch.exp(-torch.cdist(pooled, pooled).square() / (2 * s**2))
        found.append(squared_mmd(kernel, labels).item())
    found = torch.tensor(found)
    # x - x' is N(0, 2I), x - y is N(m, 2I): means of a Gaussian over a Gaussian
    same = (s**2 / (s**2 + 2)) ** (d / 2)
    expected = 2 * same * (1 - math.exp(-(shift**2) / (2 * (s**2 + 2))))
    # 256 independent, unbiased estimates; 4 standard errors: once in 16,000
    assert abs(float(found.mean()) - expected) < 4 * float(found.std()) / 16


def test_the_polynomial_kernel_by_hand():
    x = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    expected = [[(5 / 2 + 1) ** 3, 0.0], [0.0, (1 / 2 + 1) ** 3]]
    assert polynomial_kernel(x).tolist() == expected


def test_its_mmd_has_no_bias(first):
    """The mean over all pairs of draws from two finite laws is the laws' own discrepancy."""
    p, q = torch.tensor([[0.0], [1.0], [3.0]]).double(), torch.tensor([[-1.0], [0.5]]).double()

    def mean(a, b):
        return float(polynomial_kernel(torch.cat([a, b]))[: len(a), len(a) :].mean())

    for law in (p, q):
        found = [
            squared_mmd(polynomial_kernel(torch.cat([p[[i, j]], law[[k, m]]])), first(2, 2)).item()
            for i in range(3) for j in range(3)
            for k in range(len(law)) for m in range(len(law))
        ]  # fmt: skip
        expected = mean(p, p) + mean(law, law) - 2 * mean(p, law)
        assert sum(found) / len(found) == pytest.approx(expected, abs=1e-12)
        assert min(found) < 0
