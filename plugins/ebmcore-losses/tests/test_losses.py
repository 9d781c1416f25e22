"""Each loss against a closed form; each test would fail for a lost sign, factor or term."""

import math

import pytest
import torch
from ebmcore_losses import (
    DenoisingScoreMatching,
    contrastive_divergence,
    energy_magnitude,
    l2_parameters,
)
from torch import nn


class Quadratic(nn.Module):
    """E(x) = ½ (x - μ)ᵀ P (x - μ) + c, with P = L Lᵀ."""

    def __init__(self, precision, mean, constant=0.0):
        super().__init__()
        self.factor = nn.Parameter(torch.linalg.cholesky(torch.as_tensor(precision).double()))
        self.mean = nn.Parameter(torch.as_tensor(mean).double())
        self.constant = constant

    @property
    def precision(self):
        return self.factor @ self.factor.T

    def forward(self, x):
        return 0.5 * ((x - self.mean) @ self.factor).square().sum(-1) + self.constant


SIGMA = torch.tensor([[1.0, 0.4], [0.4, 0.5]], dtype=torch.float64)
MU = torch.tensor([0.3, -0.8], dtype=torch.float64)


def exact_draws(n, precision, mean, seed=0):
    """Points whose sample mean and covariance are exactly the law's: no sampling error is left."""
    z = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    z = z - z.mean(0)
    z = z @ torch.linalg.inv(torch.linalg.cholesky(z.T @ z / n)).T
    return mean + z @ torch.linalg.cholesky(torch.linalg.inv(precision)).T


def test_cd_gradient_is_the_likelihoods():
    energy = Quadratic(torch.tensor([[2.0, 0.3], [0.3, 1.0]]), [0.1, 0.2])
    data = exact_draws(4000, torch.linalg.inv(SIGMA), MU, seed=1)
    samples = exact_draws(4000, energy.precision.detach(), energy.mean.detach(), seed=2)
    value = contrastive_divergence(energy, data, samples)
    found = torch.autograd.grad(value, [energy.factor, energy.mean])
    log_z = math.log(2 * math.pi) - 0.5 * torch.logdet(energy.precision)
    nll = energy(data).mean() + log_z
    expected = torch.autograd.grad(nll, [energy.factor, energy.mean])
    for one, other in zip(found, expected, strict=True):
        # the strict upper triangle of the factor holds no density; its gradient is a gauge
        torch.testing.assert_close(one.tril() if one.ndim == 2 else one,
                                   other.tril() if other.ndim == 2 else other)  # fmt: skip


def test_cd_by_hand_and_invariant_to_a_constant():
    x, x_neg = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]])
    assert contrastive_divergence(lambda x: x[:, 0] ** 2, x, x_neg).item() == 5.0 - 4.0
    assert contrastive_divergence(lambda x: x[:, 0] ** 2 + 7, x, x_neg).item() == 1.0


def test_cd_holds_the_samples_constant():
    x_neg = torch.ones(3, 2, requires_grad=True)
    energy = Quadratic(torch.eye(2), [0.0, 0.0]).float()
    contrastive_divergence(energy, torch.zeros(3, 2), x_neg).backward()
    assert x_neg.grad is None


def test_cd_refuses_events_of_another_shape():
    with pytest.raises(ValueError, match=r"x has events of \(2,\), x_neg of \(3,\)"):
        contrastive_divergence(lambda x: x.sum(-1), torch.zeros(4, 2), torch.zeros(4, 3))


@pytest.mark.parametrize("sigma", [0.3, 0.8])
def test_dsm_gradient_vanishes_at_the_noised_density(sigma):
    # at P = (Σ + σ²I)⁻¹, μ the mean, the expected gradient is 0: 200,000 draws, 5 standard errors
    noised = torch.linalg.inv(SIGMA + sigma**2 * torch.eye(2, dtype=torch.float64))
    gradients = dsm_gradients(noised, sigma)
    stderr = gradients.std(0) / math.sqrt(len(gradients))
    assert (gradients.mean(0).abs() < 5 * stderr).all()
    clean = dsm_gradients(torch.linalg.inv(SIGMA), sigma)
    assert (clean.mean(0).abs() > 20 * clean.std(0) / math.sqrt(len(clean))).any()


def dsm_gradients(precision, sigma, blocks=200, size=1000):
    energy = Quadratic(precision, MU)
    generator = torch.Generator().manual_seed(3)
    loss = DenoisingScoreMatching(sigma=sigma)
    factor = torch.linalg.cholesky(SIGMA)
    rows = []
    for _ in range(blocks):
        x = MU + torch.randn(size, 2, generator=generator, dtype=torch.float64) @ factor.T
        got = torch.autograd.grad(loss(energy, x, generator), [energy.factor, energy.mean])
        rows.append(torch.cat([got[0].tril().flatten()[[0, 2, 3]], got[1]]))
    return torch.stack(rows)


def test_dsm_trains_to_the_noised_precision():
    sigma = 0.5
    x = exact_draws(20_000, torch.linalg.inv(SIGMA), MU)
    energy = Quadratic(torch.eye(2), [0.0, 0.0])
    optimizer = torch.optim.Adam(energy.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 400)
    generator = torch.Generator().manual_seed(0)
    loss = DenoisingScoreMatching(sigma=sigma)
    for _ in range(400):
        optimizer.zero_grad()
        loss(energy, x, generator).backward()
        optimizer.step()
        schedule.step()
    expected = torch.linalg.inv(SIGMA + sigma**2 * torch.eye(2, dtype=torch.float64))
    # 20,000 points a step, a decaying rate: well within 2 %; a lost sign makes P negative
    torch.testing.assert_close(energy.precision.detach(), expected, rtol=0.02, atol=0.01)
    torch.testing.assert_close(energy.mean.detach(), MU, rtol=0.02, atol=0.01)


def test_dsm_by_hand():
    # E = a·x has ∇E = a everywhere, so the loss is ½‖σa - ε‖² with the ε of the same stream
    a = torch.tensor([2.0, -1.0], requires_grad=True)
    x = torch.zeros(5, 2)
    value = DenoisingScoreMatching(sigma=0.1)(
        lambda x: x @ a + 0 * (x**2).sum(-1), x, torch.Generator().manual_seed(9)
    )
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(9))
    expected = 0.5 * (0.1 * a - noise).square().sum(1).mean()
    torch.testing.assert_close(value, expected)


def test_dsm_takes_several_levels():
    loss = DenoisingScoreMatching(sigma=[0.1, 1.0])
    levels = loss._levels(torch.zeros(20_000, 3, 2), torch.Generator().manual_seed(0))
    assert levels.shape == (20_000, 1, 1)
    share = (levels == 1.0).float().mean().item()
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(20_000)
    with pytest.raises(ValueError, match="empty list"):
        DenoisingScoreMatching(sigma=[])


def test_dsm_leaves_the_callers_x_alone():
    x = torch.zeros(4, 2)
    DenoisingScoreMatching()(lambda x: (x**4).sum(-1), x, None)
    assert not x.requires_grad
    assert torch.equal(x, torch.zeros(4, 2))


def test_energy_magnitude_by_hand():
    x, x_neg = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]])
    assert energy_magnitude(lambda x: x[:, 0], x, x_neg).item() == (1 + 9) / 2 + 4


def test_l2_parameters_by_hand_and_its_gradient():
    energy = nn.Linear(2, 1)
    energy.bias.requires_grad_(False)
    with torch.no_grad():
        energy.weight.copy_(torch.tensor([[3.0, -4.0]]))
    value = l2_parameters(energy)
    assert value.item() == 25.0
    (gradient,) = torch.autograd.grad(value, [energy.weight])
    torch.testing.assert_close(gradient, 2 * energy.weight)
    with pytest.raises(ValueError, match="no parameters"):
        l2_parameters(nn.Identity())
