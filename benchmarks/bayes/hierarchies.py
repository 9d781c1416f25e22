"""Posteriors of hierarchies, series and curves: funnels, schools, GARCH and so on."""

from __future__ import annotations

import math

import numpy as np
import torch
from bayes.posterior import Posterior, sampled_reference
from torch import Tensor

DOUBLE = torch.float64
WIDE = 1.5  # the standard deviation of the funnel's v


def funnel() -> Posterior:
    """Neal's funnel as it is: v ~ N(0, 1.5²), four x ~ N(0, e^v); scales from 0.1 to 10."""

    def energy(x: Tensor) -> Tensor:
        v = x[:, 0]
        return 0.5 * (v / WIDE).square() + 0.5 * (-v).exp() * x[:, 1:].square().sum(1) + 2 * v

    sd = torch.tensor([WIDE, *[math.exp(WIDE**2 / 4)] * 4], dtype=DOUBLE)
    return Posterior("funnel", energy, torch.zeros(5, dtype=DOUBLE), sd, "in closed form")


def funnel_whitened() -> Posterior:
    """Neal's own, v ~ N(0, 3²) and nine x, in coordinates in which it is independent."""

    def energy(x: Tensor) -> Tensor:
        return 0.5 * (x[:, 0] / 3).square() + 0.5 * x[:, 1:].square().sum(1)

    sd = torch.tensor([3.0, *[1.0] * 9], dtype=DOUBLE)
    return Posterior("funnel_whitened", energy, torch.zeros(10, dtype=DOUBLE), sd, "in closed form")


SCHOOLS = ([28.0, 8, -3, 7, -1, 1, 18, 12], [15.0, 10, 16, 11, 9, 11, 10, 18])  # effect, its error


def schools_whitened() -> Posterior:
    """Eight schools, θ = μ + τ z: (μ, log τ, z₁ … z₈)."""
    y, error = (torch.tensor(part, dtype=DOUBLE) for part in SCHOOLS)
    return _schools("schools_whitened", y, error, whitened=True)


def schools() -> Posterior:
    """Eight groups measured well, each by its own mean: (μ, log τ, θ₁ … θ₈)."""
    y, _ = (torch.tensor(part, dtype=DOUBLE) for part in SCHOOLS)
    return _schools("schools", y, torch.full((8,), 3.0, dtype=DOUBLE), whitened=False)


def _schools(name: str, y: Tensor, error: Tensor, *, whitened: bool) -> Posterior:
    def energy(x: Tensor) -> Tensor:
        mu, log_tau, rest = x[:, 0], x[:, 1], x[:, 2:]
        tau = log_tau.exp()[:, None]
        z = rest if whitened else (rest - mu[:, None]) / tau
        theta = mu[:, None] + tau * z
        prior = (mu / 5).square() + z.square().sum(1)
        if not whitened:
            prior = prior + 16 * log_tau
        # τ ~ half-Cauchy(5), and the density of log τ
        spread = torch.log1p((tau[:, 0] / 5).square()) - log_tau
        return 0.5 * (((y - theta) / error).square().sum(1) + prior) + spread

    log_tau = torch.linspace(-12, 6, 6001, dtype=DOUBLE)
    tau = log_tau.exp()[:, None]
    variance = error**2 + tau**2  # of y given μ, τ
    precision = (1 / variance).sum(1) + 1 / 25
    mean = (y / variance).sum(1) / precision  # of μ given τ
    evidence = 0.5 * (precision * mean**2 - (y**2 / variance).sum(1) - variance.log().sum(1))
    evidence = evidence - 0.5 * precision.log() - torch.log1p((tau[:, 0] / 5) ** 2) + log_tau
    w = torch.softmax(evidence, 0)
    # z given μ, τ: mean (y - μ) τ/(σ² + τ²), variance σ²/(σ² + τ²); θ = μ + τ z
    gain = tau / variance
    first, second = (y - mean[:, None]) * gain, error**2 / variance + gain**2 / precision[:, None]
    if not whitened:
        keep = error**2 / variance  # of μ in θ
        first = mean[:, None] * keep + y * (1 - keep)
        second = keep * tau**2 + keep**2 / precision[:, None]
    means = torch.cat([torch.stack([w @ mean, w @ log_tau]), w @ first])
    squares = torch.stack([w @ (1 / precision + mean**2), w @ log_tau**2])
    squares = torch.cat([squares, w @ (second + first**2)])
    return Posterior(name, energy, means, (squares - means**2).sqrt(), "Gaussians on a grid of τ")


def rosenbrock() -> Posterior:
    """Two bent valleys: a ~ N(1, ¼), b ~ N(a², ¼²), of other units."""
    units = torch.tensor([1.0, 1.0, 100.0, 0.01], dtype=DOUBLE)

    def energy(x: Tensor) -> Tensor:
        a, b, c, d = (x / units).unbind(1)
        bend = 16 * ((b - a.square()).square() + (d - c.square()).square())
        return 2 * ((a - 1).square() + (c - 1).square()) + 0.5 * bend

    # Var a² of a ~ N(m, v): 2 v² + 4 m² v
    mean = torch.tensor([1.0, 1.25, 1.0, 1.25], dtype=DOUBLE) * units
    variance = torch.tensor([0.25, 0.125 + 1 + 0.0625] * 2, dtype=DOUBLE)
    return Posterior("rosenbrock", energy, mean, variance.sqrt() * units, "in closed form")


def garch() -> Posterior:
    """GARCH(1, 1) of 150 returns in per cent: (μ, log ω, logit of α + β, logit of α's share)."""
    rng = np.random.default_rng(11)
    h, noise, returns = 1.0, rng.normal(size=250), []
    for shock in noise:
        returns.append(0.1 + math.sqrt(h) * shock)
        h = 0.1 + 0.25 * h * shock**2 + 0.6 * h
    r = torch.tensor(returns[100:], dtype=DOUBLE)

    def energy(x: Tensor) -> Tensor:
        mu, log_omega, sum_logit, share_logit = x.unbind(1)
        both, share = sum_logit.sigmoid(), share_logit.sigmoid()
        alpha, beta, omega = both * share, both * (1 - share), log_omega.exp()
        shocks = r - mu[:, None]
        # h_t = β h_{t-1} + ω + α shock²_{t-1}, h_0 = 1: sums over 2, 4, 8, … days
        h = torch.nn.functional.pad(
            omega[:, None] + alpha[:, None] * shocks[:, :-1].square(), (1, 0), value=1.0
        )
        days, power = 1, beta[:, None]
        while days < len(r):
            h = h + power * torch.nn.functional.pad(h[:, :-days], (days, 0))
            days, power = 2 * days, power.square()
        prior = (mu.square() + ((log_omega + 2) / 1.5).square()
                 + ((sum_logit - 1.5) / 1.5).square() + (share_logit / 1.5).square())  # fmt: skip
        return 0.5 * (h.log() + shocks.square() / h).sum(1) + 0.5 * prior

    return sampled_reference("garch", energy, 4, n=100_000)


def hidden_markov() -> Posterior:
    """Two hidden states, 128 days, summed out: (logits of staying, lower mean, log gap, log σ)."""
    rng = np.random.default_rng(12)
    state, seen = 0, []
    for _ in range(128):
        state = state if rng.uniform() < (0.9, 0.8)[state] else 1 - state
        seen.append(rng.normal((-1.0, 1.5)[state], 0.8))
    y = torch.tensor(seen, dtype=DOUBLE)

    def energy(x: Tensor) -> Tensor:
        stay, low, gap, log_noise = x[:, :2].sigmoid(), x[:, 2], x[:, 3].exp(), x[:, 4]
        means = torch.stack([low, low + gap], 1)
        z = (y[None, :, None] - means[:, None]) * (-log_noise).exp()[:, None, None]
        emitted = (-0.5 * z.square()).exp()  # (chains, days, 2)
        moves = torch.stack([torch.stack([stay[:, 0], 1 - stay[:, 0]], 1),
                             torch.stack([1 - stay[:, 1], stay[:, 1]], 1)], 1)  # fmt: skip
        product = moves[:, None] * emitted[:, :, None, :]  # (chains, days, from, to)
        log_scale = 0
        while product.shape[1] > 1:  # neighbours multiply, log₂ of the days times
            product = product[:, ::2] @ product[:, 1::2]
            size = product.sum((2, 3), keepdim=True)
            product, log_scale = product / size, log_scale + size.log().sum((1, 2, 3))
        likelihood = (0.5 * product[:, 0]).sum((1, 2)).log() + log_scale - len(y) * log_noise
        prior = ((x[:, :2] - 1.5) / 1.5).square().sum(1) + (low / 2).square()
        return 0.5 * (prior + x[:, 3].square() + log_noise.square()) - likelihood

    return sampled_reference("hidden_markov", energy, 5, n=100_000)


def gaussian_process() -> Posterior:
    """Thirty points of a curve: (log length, log amplitude, log noise)."""
    rng = np.random.default_rng(13)
    t = torch.tensor(np.sort(rng.uniform(0, 10, 30)))
    y = torch.sin(1.2 * t) + torch.tensor(rng.normal(0, 0.3, 30))
    squared, one = (t[:, None] - t).square(), torch.eye(30, dtype=DOUBLE)

    def energy(x: Tensor) -> Tensor:
        length, amplitude, noise = (2 * x).exp()[:, :, None, None].unbind(1)
        kernel = amplitude * (-0.5 * squared / length).exp() + (noise + 1e-6) * one
        factor = torch.linalg.cholesky_ex(kernel)[0]
        white = torch.linalg.solve_triangular(factor, y[:, None], upper=False)
        log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1)
        centre = torch.tensor([0.5, 0.0, -1.0], dtype=DOUBLE)
        return (
            0.5 * white.square().sum((1, 2)) + log_det + 0.5 * ((x - centre) / 0.7).square().sum(1)
        )

    return sampled_reference("gaussian_process", energy, 3, n=50_000)
