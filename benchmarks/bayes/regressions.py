"""Posteriors of regressions, in the raw units of their covariates."""

from __future__ import annotations

import math

import numpy as np
import torch
from bayes.posterior import Posterior, sampled_reference
from torch import Tensor

DOUBLE = torch.float64


def wide_regression() -> Posterior:
    """Known noise, covariates of 0.1 to 40,000: Gaussian, of condition number above 10⁹."""
    rng = np.random.default_rng(1)
    n = 200
    income, share = rng.normal(4e4, 9e3, n), rng.normal(0.4, 0.1, n)
    columns = [np.ones(n), rng.normal(90, 12, n), income, share]
    design = torch.tensor(np.stack(columns, 1))
    truth = torch.tensor([3.0, 0.02, 1e-4, 9.0], dtype=DOUBLE)
    y = design @ truth + torch.tensor(rng.normal(0, 2, n))
    prior = torch.tensor([50.0, 1, 1, 50], dtype=DOUBLE)
    return _gaussian("wide_regression", design, y, noise=2.0, prior=prior)


def parabola() -> Posterior:
    """Raw powers of a covariate from 10 to 70, known noise: Gaussian, condition number 10⁸."""
    rng = np.random.default_rng(2)
    t = torch.tensor(rng.uniform(10, 70, 80))
    design = torch.stack([t**k for k in range(3)], 1)
    truth = torch.tensor([1.0, -0.2, 0.005], dtype=DOUBLE)
    y = design @ truth + torch.tensor(rng.normal(0, 0.7, 80))
    return _gaussian("parabola", design, y, noise=0.7, prior=torch.full((3,), 10.0, dtype=DOUBLE))


def _gaussian(name: str, design: Tensor, y: Tensor, *, noise: float, prior: Tensor) -> Posterior:
    precision = design.T @ design / noise**2 + torch.diag(1 / prior**2)
    covariance = torch.linalg.inv(precision)
    mean = covariance @ design.T @ y / noise**2

    def energy(x: Tensor) -> Tensor:
        misfit = (y - x @ design.T) / noise
        return 0.5 * misfit.square().sum(1) + 0.5 * (x / prior).square().sum(1)

    how = f"in closed form; condition number {torch.linalg.cond(precision):.1e}"
    return Posterior(name, energy, mean, covariance.diag().sqrt(), how)


def unknown_noise() -> Posterior:
    """Age and height of 60 people, and the log of the noise: normal and inverse gamma."""
    rng = np.random.default_rng(3)
    n = 60
    design = torch.tensor(np.stack([np.ones(n), rng.normal(44, 12, n), rng.normal(170, 9, n)], 1))
    y = design @ torch.tensor([-30.0, 0.1, 0.6]).double() + torch.tensor(rng.normal(0, 8, n))
    # β | σ ~ N(0, σ² 10⁴ I), 1/σ² ~ Gamma(2, 50)
    inverse = torch.linalg.inv(design.T @ design + 1e-4 * torch.eye(3, dtype=DOUBLE))
    mean = inverse @ design.T @ y
    shape = 2 + n / 2
    rate = 50 + 0.5 * (y @ y - mean @ (design.T @ y))

    def energy(x: Tensor) -> Tensor:
        beta, log_noise = x[:, :3], x[:, 3]
        precision = (-2 * log_noise).exp()
        misfit = (y - beta @ design.T).square().sum(1) + 1e-4 * beta.square().sum(1)
        # the density of log σ: that of 1/σ², times σ⁻²
        return 0.5 * precision * (misfit + 100) + (n + 3 + 4) * log_noise

    a = torch.tensor(float(shape), dtype=DOUBLE)
    means = torch.cat([mean, 0.5 * (rate.log() - torch.digamma(a))[None]])
    variances = torch.cat([inverse.diag() * rate / (a - 1), 0.25 * torch.polygamma(1, a)[None]])
    return Posterior("unknown_noise", energy, means, variances.sqrt(), "in closed form")


def logistic() -> Posterior:
    """scikit-learn's breast cancer data: six raw columns, of scales 0.01 to 350."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    x = torch.tensor(data.data[:, [0, 1, 3, 4, 6, 8]])
    design, y = (
        torch.cat([torch.ones(len(x), 1), x], 1).double(),
        torch.tensor(data.target).double(),
    )
    prior = torch.cat([torch.tensor([20.0]).double(), 2.5 / x.std(0)])

    def energy(b: Tensor) -> Tensor:
        logits = b @ design.T
        softplus = torch.nn.functional.softplus(logits)
        return (softplus - y * logits).sum(1) + 0.5 * (b / prior).square().sum(1)

    return sampled_reference("logistic", energy, 7)


def poisson() -> Posterior:
    """Counts by year and by dose, in raw units."""
    rng = np.random.default_rng(5)
    n = 120
    year, dose = rng.uniform(0, 8, n), rng.uniform(0, 0.02, n)
    design = torch.tensor(np.stack([np.ones(n), year, dose], 1))
    y = torch.tensor(rng.poisson(np.exp(0.5 + 0.15 * year + 40 * dose))).double()
    prior = torch.tensor([5.0, 1.0, 200.0]).double()

    def energy(b: Tensor) -> Tensor:
        rate = b @ design.T
        return (rate.exp() - y * rate).sum(1) + 0.5 * (b / prior).square().sum(1)

    return sampled_reference("poisson", energy, 3)


def student_t() -> Posterior:
    """A line through points with outliers: a t of 4 degrees of freedom, the scale unknown."""
    rng = np.random.default_rng(6)
    n = 50
    t = torch.tensor(rng.uniform(100, 140, n))
    y = 3 + 0.2 * t + torch.tensor(rng.standard_t(3, n))

    def energy(x: Tensor) -> Tensor:
        a, b, log_scale = x.unbind(1)
        z = (y - a[:, None] - b[:, None] * t) * (-log_scale).exp()[:, None]
        prior = 0.5 * ((a / 20).square() + b.square() + log_scale.square())
        return 2.5 * torch.log1p(z.square() / 4).sum(1) + n * log_scale + prior

    return sampled_reference("student_t", energy, 3)


def mixed_effects() -> Posterior:
    """Eight groups with their own intercepts, standardised: (β₀, β₁, z₁ … z₈, log σ, log τ)."""
    rng = np.random.default_rng(7)
    groups, each = 8, 12
    group = torch.arange(groups).repeat_interleave(each)
    t = torch.tensor(rng.normal(0, 3, groups * each))
    offsets = torch.tensor(rng.normal(0, 1.5, groups))
    y = 2 + 0.5 * t + offsets[group] + torch.tensor(rng.normal(0, 2, groups * each))
    one = torch.nn.functional.one_hot(group, groups).double()
    fixed = torch.stack([torch.ones_like(t), t], 1)

    def energy(x: Tensor) -> Tensor:
        beta, z, log_noise, log_spread = x[:, :2], x[:, 2:10], x[:, 10], x[:, 11]
        predicted = beta @ fixed.T + (log_spread.exp()[:, None] * z) @ one.T
        misfit = (y - predicted).square().sum(1) * (-2 * log_noise).exp()
        prior = (beta / 10).square().sum(1) + z.square().sum(1)
        prior = prior + (log_noise - 0.5).square() + log_spread.square()
        return 0.5 * (misfit + prior) + len(y) * log_noise

    # given σ and τ all else is Gaussian: a grid of those two
    grid = torch.cartesian_prod(
        torch.linspace(0.2, 1.4, 120, dtype=DOUBLE), torch.linspace(-4, 3, 200, dtype=DOUBLE)
    )
    weights, first, second = [], [], []
    for log_noise, log_spread in grid:
        design = torch.cat([fixed, one * log_spread.exp()], 1) * (-log_noise).exp()
        target = y * (-log_noise).exp()
        prior = torch.tensor([0.01, 0.01, *[1.0] * groups]).double()
        precision = design.T @ design + prior.diag()
        factor = torch.linalg.cholesky(precision)
        mean = torch.cholesky_solve((design.T @ target)[:, None], factor)[:, 0]
        evidence = 0.5 * (mean @ precision @ mean - target @ target) - factor.diag().log().sum()
        evidence = evidence - len(y) * log_noise - 0.5 * ((log_noise - 0.5) ** 2 + log_spread**2)
        weights.append(evidence)
        first.append(mean)
        second.append(torch.cholesky_inverse(factor).diag() + mean**2)
    w = torch.softmax(torch.stack(weights), 0)
    means = torch.cat([w @ torch.stack(first), w @ grid])
    squares = torch.cat([w @ torch.stack(second), w @ grid**2])
    sd = (squares - means**2).sqrt()
    assert math.isclose(float(w.sum()), 1)
    return Posterior("mixed_effects", energy, means, sd, "Gaussians on a grid of σ and τ")
