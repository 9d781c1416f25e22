"""Denoising score matching finds the noised density, exactly where the noise is."""

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


@pytest.mark.parametrize("sigma", [[], [0.1, 1.0]])
def test_a_list_of_levels_is_refused(sigma):
    with pytest.raises(ValueError, match="multilevel_denoising with the energy noise_conditional"):
        DenoisingScoreMatching(sigma=sigma)
    assert DenoisingScoreMatching(sigma=[0.2]).sigma == 0.2


def test_one_energy_at_several_levels_would_fit_nearly_the_largest():
    # why a list is refused: data at 0, so that p_σ = N(0, σ²); σ² weighs 0.2 by 1/17 and 0.8 by
    # 16/17, where equal shares were drawn. 40,000 events fit the share to 5 %.
    generator = torch.Generator().manual_seed(0)
    sigma = torch.tensor([0.2, 0.8], dtype=torch.float64).repeat(20_000).view(-1, 1)
    noise = torch.randn(40_000, 1, generator=generator, dtype=torch.float64)

    def loss(share):
        def energy(x):
            parts = [torch.distributions.Normal(0.0, s).log_prob(x[:, 0]) for s in (0.2, 0.8)]
            return -torch.stack([parts[0] + share.log(), parts[1] + (1 - share).log()]).logsumexp(0)

        return denoising(energy, torch.zeros_like(noise), noise, sigma).item()

    found = {k: loss(torch.tensor(k / 34, dtype=torch.float64)) for k in (1, 2, 4, 17)}
    assert min(found, key=found.get) == 2  # 2/34 = 1/17, and not 17/34


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
