"""Denoising score matching finds the noised density, exactly where the noise is."""

import math

import pytest
import torch
from ebmcore_losses import DenoisingScoreMatching
from ebmcore_losses.denoising import denoising


@pytest.mark.parametrize("sigma", [0.3, 0.8])
def test_minimal_at_the_noised_density(tools, start, covariance, mu, sigma):
    # points and noise whose joint moments are exact: nothing is left to chance
    eye = torch.eye(2, dtype=torch.float64)
    joint = tools.exact_draws(
        200, torch.cat([mu, torch.zeros_like(mu)]), torch.block_diag(covariance, eye)
    )
    x, noise = joint[:, :2], joint[:, 2:]
    tools.minimise(lambda: denoising(start, x, noise, sigma), start.parameters())
    expected = torch.linalg.inv(covariance + sigma**2 * eye)
    torch.testing.assert_close(start.precision.detach(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(start.mean.detach(), mu, rtol=0, atol=1e-5)


def test_by_hand():
    # E = a·x has ∇E = a everywhere, so the loss is ½‖σa - ε‖² with the ε of the same stream
    a = torch.tensor([2.0, -1.0], requires_grad=True)
    x = torch.zeros(5, 2)
    value = DenoisingScoreMatching(sigma=0.1)(
        lambda x: x @ a + 0 * (x**2).sum(-1), x, torch.Generator().manual_seed(9)
    )
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(9))
    expected = 0.5 * (0.1 * a - noise).square().sum(1).mean()
    torch.testing.assert_close(value, expected)


def test_several_levels():
    # a share of 20,000 at 5 standard errors: a false alarm in 1.7 million
    loss = DenoisingScoreMatching(sigma=[0.1, 1.0])
    levels = loss._levels(torch.zeros(20_000, 3, 2), torch.Generator().manual_seed(0))
    assert levels.shape == (20_000, 1, 1)
    share = (levels == 1.0).float().mean().item()
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(20_000)
    with pytest.raises(ValueError, match="empty list"):
        DenoisingScoreMatching(sigma=[])


def test_each_event_has_its_own_level(tools):
    energy, x = tools.Wavy(2), torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    x, noise = x.double(), torch.ones(4, 2, dtype=torch.float64)
    sigma = torch.tensor([0.1, 0.5, 0.1, 0.5], dtype=torch.float64).view(4, 1)
    together = denoising(energy, x, noise, sigma)
    alone = [denoising(energy, x[i : i + 1], noise[:1], sigma[i].item()) for i in range(4)]
    torch.testing.assert_close(together, torch.stack(alone).mean())


def test_the_callers_x_is_left_alone():
    x = torch.zeros(4, 2)
    DenoisingScoreMatching()(lambda x: (x**4).sum(-1), x, None)
    assert not x.requires_grad
    assert torch.equal(x, torch.zeros(4, 2))
