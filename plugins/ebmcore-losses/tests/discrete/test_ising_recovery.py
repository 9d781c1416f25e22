"""Pseudo-likelihood gives the couplings of spins back, as surely as its theory says."""

import pytest
import torch
from ebmcore_losses import PseudoLikelihood

from ebmcore import Categorical

discrete = pytest.importorskip("ebmcore_discrete")


def spins(shape):
    ising = discrete.Ising(sigma=0.2, event_shape=shape).double()
    with torch.no_grad():
        ising.field.copy_(torch.linspace(-0.2, 0.2, ising.field.numel()))
    return ising


def test_the_couplings_of_a_torus_come_back_within_the_fisher_error():
    """Its minimum is found by Newton's steps of 16 logistic regressions, and held to the loss."""
    n, truth, loss = 8000, spins((4, 4)), PseudoLikelihood()
    x = truth.sample(n, torch.Generator().manual_seed(0))
    s, (i, j) = 2 * x.flatten(1) - 1, truth.couplings.edges
    features = torch.zeros(n, 16, 48, dtype=torch.float64)  # of each spin's log odds
    features[:, range(16), range(16)] = 2.0
    for edge in range(32):
        features[:, i[edge], 16 + edge] = 4 * s[:, j[edge]]
        features[:, j[edge], 16 + edge] = 4 * s[:, i[edge]]
    found = torch.zeros(48, dtype=torch.float64)
    for _ in range(9):
        p = (features @ found).sigmoid()
        scores = ((p - x.flatten(1))[..., None] * features).sum(1)  # (n, 48)
        weighted = (p * (1 - p))[..., None] * features
        bend = weighted.flatten(0, 1).T @ features.flatten(0, 1) / n
        found = found - torch.linalg.solve(bend, scores.mean(0))

    model = discrete.Ising(event_shape=(4, 4)).double()
    model.field.data, model.couplings.values.data = found.split([16, 32])
    for slope in torch.autograd.grad(loss(model, x, None), list(model.parameters())):
        assert slope.abs().max() < 1e-10

    wrong = found - torch.cat([truth.field, truth.couplings.values]).detach()
    inverse = torch.linalg.inv(bend)
    covariance = inverse @ scores.T.cov() @ inverse / n  # Godambe's
    surprise = wrong @ torch.linalg.solve(covariance, wrong)  # χ² of 48
    assert 48 - 4.5 * 96**0.5 < surprise < 48 + 4.5 * 96**0.5
    fisher = torch.cat([s, 2 * s[:, i] * s[:, j]], 1).T.cov()  # of the likelihood
    least = (torch.linalg.inv(fisher).diagonal() / n).sqrt()
    ratio = covariance.diagonal().sqrt() / least
    assert (ratio > 0.9).all()
    assert (ratio < 1.5).all()


@pytest.mark.parametrize("name", ["spins", "categories"])
def test_site_logits_are_a_shortcut_alone(name):
    loss, model = PseudoLikelihood(), spins((2, 3))
    if name == "categories":
        loss = PseudoLikelihood(space=Categorical(3))
        model = discrete.Potts(coupling=0.4, event_shape=(2, 3), space=Categorical(3)).double()
    x = model.sample(30, torch.Generator().manual_seed(0))
    found = []
    for energy in (model, lambda x: model(x)):
        value = loss(energy, x, None)
        found.append([value, *torch.autograd.grad(value, list(model.parameters()))])
    torch.testing.assert_close(*found)
