"""Contrastive divergence against the likelihood's own gradient."""

import math

import pytest
import torch
from ebmcore_losses import contrastive_divergence


def test_gradient_is_the_likelihoods(tools, start, covariance, mu):
    data = tools.exact_draws(4000, mu, covariance, seed=1)
    model = torch.linalg.inv(start.precision.detach())
    samples = tools.exact_draws(4000, start.mean.detach(), model, seed=2)
    value = contrastive_divergence(start, data, samples)
    found = torch.autograd.grad(value, [start.factor, start.mean])
    log_z = math.log(2 * math.pi) - 0.5 * torch.logdet(start.precision)
    nll = start(data).mean() + log_z
    expected = torch.autograd.grad(nll, [start.factor, start.mean])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_by_hand_and_invariant_to_a_constant():
    x, x_neg = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]])
    assert contrastive_divergence(lambda x: x[:, 0] ** 2, x, x_neg).item() == 5.0 - 4.0
    assert contrastive_divergence(lambda x: x[:, 0] ** 2 + 7, x, x_neg).item() == 1.0


def test_the_samples_are_held_constant(start):
    x_neg = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    contrastive_divergence(start, torch.zeros(3, 2, dtype=torch.float64), x_neg).backward()
    assert x_neg.grad is None


def test_events_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"x has events of \(2,\), x_neg of \(3,\)"):
        contrastive_divergence(lambda x: x.sum(-1), torch.zeros(4, 2), torch.zeros(4, 3))
