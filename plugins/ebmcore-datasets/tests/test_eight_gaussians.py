import math

import pytest
import torch
from ebmcore_datasets import EightGaussians, GaussianMixture


def test_the_centres_are_even_on_a_circle():
    ring = EightGaussians(radius=3.0, std=0.2)
    expected = [
        [3 * math.cos(math.radians(a)), 3 * math.sin(math.radians(a))] for a in range(0, 360, 45)
    ]
    torch.testing.assert_close(ring.centers, torch.tensor(expected, dtype=torch.float64))
    x = torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mixture = GaussianMixture(centers=expected, std=0.2)
    torch.testing.assert_close(ring.log_prob(x), mixture.log_prob(x))


def test_entropy_of_gaussians_far_apart_adds_the_choice():
    ring = EightGaussians(radius=5.0, std=0.2)
    expected = math.log(2 * math.pi * math.e * 0.2**2) + math.log(8)
    assert ring.entropy == pytest.approx(expected, abs=1e-7)
