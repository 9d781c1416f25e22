"""Noise-contrastive estimation estimates log Z; its noise is the documented Gaussian."""

import math

import pytest
import torch
from ebmcore_losses import NoiseContrastive
from ebmcore_losses.numerics.gaussian_noise import GaussianNoise
from torch.nn.functional import logsigmoid


def true_log_z(covariance):
    return 0.5 * torch.logdet(2 * math.pi * covariance).item()


def test_log_z_goes_to_that_of_the_model(tools, covariance, mu):
    # 20 repetitions with everything trained, 5 standard errors of Student's t with 19 degrees of
    # freedom: a false alarm in 12,000. Without log ν the answer would be off by log 3.
    found = []
    for seed in range(20):
        x = tools.exact_draws(2000, mu, covariance, seed=seed)
        energy = tools.Quadratic(torch.linalg.inv(covariance), mu)
        loss = NoiseContrastive(x, ratio=3, mean=[0.0, -0.5], std=[1.3, 1.1])
        tools.minimise(
            lambda energy=energy, loss=loss, x=x, seed=seed: loss(
                energy, x, torch.Generator().manual_seed(1000 + seed)
            )[0],
            [*energy.parameters(), *loss.parameters()],
        )
        found.append(loss.log_z.item())
    found = torch.tensor(found, dtype=torch.float64)
    stderr = found.std() / math.sqrt(len(found))
    assert stderr < 0.02
    assert abs(found.mean() - true_log_z(covariance)) < 5 * stderr


@pytest.mark.parametrize("ratio", [1, 4])
def test_the_expected_gradient_vanishes_at_the_truth(tools, covariance, mu, ratio):
    # 100 batches, Student's t with 99 degrees of freedom over 5.5: a false alarm in 3 million,
    # for each of 6 parameters; and far from it with log Z a little off
    for log_z, there in ((true_log_z(covariance), True), (true_log_z(covariance) + 0.2, False)):
        energy = tools.Quadratic(torch.linalg.inv(covariance), mu)
        loss = NoiseContrastive(
            None, (2,), mean=0.1, std=1.5, ratio=ratio, log_z=log_z
        ).double()  # fmt: skip
        parameters = [energy.mean, energy.factor, loss.log_z]
        generator = torch.Generator().manual_seed(5)
        lower = torch.linalg.cholesky(covariance)
        rows = []
        for _ in range(100):
            z = torch.randn(1000, 2, generator=generator, dtype=torch.float64)
            value, _ = loss(energy, mu + z @ lower.mT, generator)
            parts = torch.autograd.grad(value, parameters)
            rows.append(torch.cat([parts[0], parts[1].flatten()[[0, 2, 3]], parts[2].view(1)]))
        rows = torch.stack(rows)
        t = rows.mean(0) / (rows.std(0) / math.sqrt(len(rows)))
        assert (t.abs() < 5.5).all() if there else t[-1].abs() > 20


def test_by_hand(covariance):
    # the posterior of data is p_m / (p_m + ν p_n), the classes at odds of 1 : ν
    loss = NoiseContrastive(None, (2,), mean=[0.5, 0.0], std=[2.0, 1.0], ratio=2, log_z=0.7)
    x = torch.tensor([[1.0, -1.0], [0.0, 2.0], [0.3, 0.1]])

    def energy(x):
        return x.square().sum(1) + 0.2

    value, logged = loss(energy, x, torch.Generator().manual_seed(3))
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(3))
    noise = torch.tensor([0.5, 0.0]) + z * torch.tensor([2.0, 1.0])
    law = torch.distributions.MultivariateNormal(
        torch.tensor([0.5, 0.0]), torch.diag(torch.tensor([4.0, 1.0]))
    )

    def posterior(x):
        model = (-energy(x) - 0.7).exp()
        return model / (model + 2 * law.log_prob(x).exp())

    expected = -posterior(x).log().mean() - 2 * (1 - posterior(noise)).log().mean()
    torch.testing.assert_close(value, expected)
    assert logged["log_z"].item() == pytest.approx(0.7)


def test_where_the_noise_is_the_data(tools, start):
    # G = 0 everywhere, so both posteriors are the odds themselves, whatever is drawn
    model = torch.linalg.inv(start.precision.detach())
    loss = NoiseContrastive(
        tools.exact_draws(50, start.mean.detach(), model), ratio=3, ridge=0.0,
        log_z=true_log_z(model),
    )  # fmt: skip
    value, _ = loss(start, torch.randn(9, 2, dtype=torch.float64), None)
    expected = -logsigmoid(torch.tensor(-math.log(3.0))) - 3 * logsigmoid(
        torch.tensor(math.log(3.0))
    )
    assert value.item() == pytest.approx(expected.item(), abs=1e-7)
    assert value.item() == pytest.approx(math.log(4) + 3 * math.log(4 / 3), abs=1e-7)


def test_log_z_is_trained_with_the_energy(tools, start):
    loss = NoiseContrastive(torch.randn(30, 2, generator=torch.Generator().manual_seed(0)).double())
    assert [name for name, _ in loss.named_parameters()] == ["log_z"]
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(1)).double()
    tools.assert_gradient_is_that_of_differences(
        lambda: loss(start, x, torch.Generator().manual_seed(2))[0],
        [*start.parameters(), loss.log_z],
    )


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_fitted_noise(tools, covariance, mu, diagonal):
    x = tools.exact_draws(40, mu, covariance)
    noise = GaussianNoise.fitted(x, diagonal=diagonal, ridge=0.1)
    expected = covariance + 0.1 * covariance.trace() / 2 * torch.eye(2, dtype=torch.float64)
    expected = torch.diag(expected.diagonal()) if diagonal else expected
    law = torch.distributions.MultivariateNormal(mu, expected)
    torch.testing.assert_close(noise.log_prob(x), law.log_prob(x))
    torch.testing.assert_close(noise.entropy(), law.entropy())
    # 50,000 draws, 5 standard errors of a mean and of a second moment, six numbers of them
    draws = noise.draw(50_000, torch.Generator().manual_seed(6))
    centred = draws - mu
    products = centred.unsqueeze(2) * centred.unsqueeze(1)
    for found, wanted in ((centred, torch.zeros_like(mu)), (products, expected)):
        stderr = found.std(0) / math.sqrt(len(draws))
        assert ((found.mean(0) - wanted).abs() < 5 * stderr).all()


def test_log_z_begins_with_the_noises_entropy(tools, covariance, mu):
    loss = NoiseContrastive(tools.exact_draws(40, mu, covariance), ridge=0.0)
    assert loss.log_z.item() == pytest.approx(true_log_z(covariance) + 1, abs=1e-9)


def test_elements_that_never_vary_need_the_ridge():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    x[:, 1] = 0.5
    loss = NoiseContrastive(x)
    assert loss.noise.log_prob(x).isfinite().all()
    for covariance in ("full", "diagonal"):
        with pytest.raises(ValueError, match="raise `ridge`"):
            NoiseContrastive(x, ridge=0.0, covariance=covariance)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"mean": 0.0}, "mean is given without std; give both, or neither"),
        ({"std": 1.0}, "std is given without mean; give both, or neither"),
        ({}, "no training data to fit the noise to; give mean and std"),
        ({"mean": 0.0, "std": [1.0, 2.0]}, r"std should be a number or 3, .* \(3,\); got 2"),
    ],
)
def test_what_does_not_fit_is_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        NoiseContrastive(None, (3,), **keys)


def test_events_of_another_size_are_refused():
    loss = NoiseContrastive(torch.randn(9, 3, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match="built for events of 3 elements; got 2"):
        loss.noise.log_prob(torch.zeros(4, 2))
