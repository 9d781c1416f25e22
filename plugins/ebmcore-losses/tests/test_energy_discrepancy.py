"""Energy discrepancy against its limit of many samples, which is known for a quadratic energy."""

import math

import pytest
import torch
from ebmcore_losses import energy_discrepancy
from ebmcore_losses.discrepancy import discrepancy


def quantiles(n):
    """n points that stand for N(0, 1), each for the same share; mean 0 and variance 1 exactly."""
    shares = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    points = math.sqrt(2) * torch.erfinv(2 * shares - 1)
    return (points - points.mean()) / points.std(correction=0)


@pytest.mark.parametrize("sigma", [0.2, 1.0])
def test_the_limit_of_many_samples(sigma):
    # for E = ½Px² it is E(x) - ½ log(1 + σ²P) - ½ Py²/(1 + σ²P) at y = x + σε₀; 400,000 samples,
    # 5 standard errors of the logarithm of a mean: a false alarm in 1.7 million for each event
    precision, samples = 1.7, 400_000
    x = torch.tensor([[-1.2], [0.4]], dtype=torch.float64)
    for i in range(2):
        generator = torch.Generator().manual_seed(i)
        value = energy_discrepancy(
            lambda x: 0.5 * precision * x[:, 0] ** 2, x[i : i + 1], generator,
            sigma=sigma, samples=samples, stabiliser=0.0,
        )  # fmt: skip
        draws = torch.randn(
            samples + 1, generator=torch.Generator().manual_seed(i), dtype=torch.float64
        )
        y = x[i].item() + sigma * draws[0].item()
        spread = 1 + sigma**2 * precision
        expected = 0.5 * precision * (x[i].item() ** 2 - y**2 / spread) - 0.5 * math.log(spread)
        weights = (-0.5 * precision * (y + sigma * draws[1:]) ** 2).exp()
        stderr = weights.std() / weights.mean() / math.sqrt(samples)
        assert abs(value.item() - expected) < 5 * stderr


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0])
def test_minimal_at_the_data_for_small_and_large_sigma(tools, sigma):
    # quadrature by quantiles in place of x, ε₀ and εⱼ; off by 0.1 %, less with more of them
    variance, mean = 0.5, 0.3
    energy = tools.Quadratic([[1.0]], [0.0])
    q, many = quantiles(24), quantiles(400)
    x = (mean + math.sqrt(variance) * q).repeat_interleave(24).view(-1, 1)
    moved = x + sigma * q.repeat(24).view(-1, 1)
    noised = moved + sigma * many.view(-1, 1, 1)
    tools.minimise(lambda: discrepancy(energy, x, noised, 0.0), energy.parameters())
    assert energy.precision.item() == pytest.approx(1 / variance, rel=3e-3)
    assert energy.mean.item() == pytest.approx(mean, abs=1e-4)


def test_by_hand():
    # x = 0, M = 2, samples at 1 and 2 with E = x: log(w/2 + (e⁻¹ + e⁻²)/2)
    noised = torch.tensor([[[1.0]], [[2.0]]])
    for w in (0.0, 1.0, 3.0):
        value = discrepancy(lambda x: x[:, 0] + 5, torch.zeros(1, 1), noised, w)
        expected = math.log(w / 2 + (math.exp(-1) + math.exp(-2)) / 2)
        assert value.item() == pytest.approx(expected, abs=1e-6)


def test_one_move_is_shared_and_the_others_are_not():
    # E = x: the contrasts are -σ(ε₀ + εⱼ), with the ε of the same stream
    x = torch.tensor([[1.0, 0.0], [-2.0, 3.0]])
    value = energy_discrepancy(
        lambda x: x.sum(1), x, torch.Generator().manual_seed(8), sigma=0.5, samples=3,
        stabiliser=2.0,
    )  # fmt: skip
    noise = torch.randn(4, 2, 2, generator=torch.Generator().manual_seed(8)).sum(2)
    contrasts = -0.5 * (noise[0] + noise[1:])
    expected = (2.0 / 3 + contrasts.exp().mean(0)).log().mean()
    torch.testing.assert_close(value, expected)


def test_no_overflow():
    x = torch.zeros(2, 1)
    for sign in (1, -1):
        value = energy_discrepancy(lambda x, s=sign: s * 1e6 * x[:, 0] ** 2, x, None)
        assert value.isfinite()


def test_gradient(tools):
    energy = tools.Wavy(4)
    x = torch.randn(5, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    tools.assert_gradient_is_that_of_differences(
        lambda: energy_discrepancy(energy, x, torch.Generator().manual_seed(1)),
        list(energy.parameters()),
    )
