"""Exact score matching against closed forms, and sliced score matching against the exact one."""

import itertools
import math

import pytest
import torch
from ebmcore_losses import score_matching, sliced_score_matching
from ebmcore_losses.sliced import sliced


def test_minimal_at_the_data(tools, start, covariance, mu):
    # the objective of a quadratic energy depends on two moments alone, and these are exact
    x = tools.exact_draws(200, mu, covariance)
    tools.minimise(lambda: score_matching(start, x), start.parameters())
    expected = torch.linalg.inv(covariance)
    torch.testing.assert_close(start.precision.detach(), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(start.mean.detach(), mu, rtol=0, atol=1e-4)


def test_by_hand():
    # E = x²y² + 3x: ∇E = (2xy² + 3, 2x²y), ΔE = 2y² + 2x²
    def energy(x):
        return x[:, 0] ** 2 * x[:, 1] ** 2 + 3 * x[:, 0]

    x = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
    first = 0.5 * (11**2 + 4**2) - (8 + 2)
    second = 0.5 * (2.5**2 + 1**2) - (0.5 + 2)
    torch.testing.assert_close(score_matching(energy, x), torch.tensor((first + second) / 2))


def test_an_event_of_any_shape(tools):
    energy, x = tools.Wavy(6), torch.randn(7, 6, generator=torch.Generator().manual_seed(1))
    x = x.double()
    torch.testing.assert_close(
        score_matching(energy, x.view(7, 1, 2, 3)), score_matching(energy, x)
    )


def test_an_energy_without_curvature_has_a_trace_of_zero():
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    assert score_matching(lambda x: x @ weight, torch.zeros(2, 2)).item() == 12.5


@pytest.mark.parametrize("variance_reduced", [True, False])
def test_sliced_along_all_signs_is_the_exact_one(tools, variance_reduced):
    energy, x = tools.Wavy(3), torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    x = x.double()
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)), dtype=torch.float64)
    directions = signs.unsqueeze(1).expand(8, 4, 3)
    found = sliced(energy, x, directions, variance_reduced=variance_reduced)
    torch.testing.assert_close(found, score_matching(energy, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variance_reduced", [True, False])
@pytest.mark.parametrize("kind", ["rademacher", "normal"])
def test_sliced_is_the_exact_one_in_the_mean(tools, kind, variance_reduced):
    # 10,000 projections at one point, in 100 batches, 5 standard errors of Student's t with 99
    # degrees of freedom: a false alarm in 400,000
    energy, x = tools.Wavy(3), torch.tensor([[0.3, -1.0, 0.8]], dtype=torch.float64)
    draws = torch.stack([
        sliced_score_matching(
            energy, x.expand(100, 3), torch.Generator().manual_seed(seed), kind=kind,
            projections=1, variance_reduced=variance_reduced,
        ).detach()
        for seed in range(100)
    ])  # fmt: skip
    stderr = draws.std() / math.sqrt(len(draws))
    assert abs(draws.mean() - score_matching(energy, x)) < 5 * stderr
    assert stderr > 0


def test_sliced_draws_the_directions_of_its_kind():
    # E = ½Σx² has ∇E = x and ∇²E = I: ½(vᵀx)² - vᵀv with the v of the same stream
    def energy(x):
        return 0.5 * x.square().sum(1)

    x = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    value = sliced_score_matching(
        energy, x, torch.Generator().manual_seed(4), kind="normal", projections=3,
        variance_reduced=False,
    )  # fmt: skip
    v = torch.randn(3, 2, 2, generator=torch.Generator().manual_seed(4))
    expected = 0.5 * (v * x).sum(2).square() - v.square().sum(2)
    torch.testing.assert_close(value, expected.mean())
    signs = sliced_score_matching(energy, x, torch.Generator().manual_seed(4), projections=3)
    torch.testing.assert_close(signs, (0.5 * x.square().sum(1)).mean() - 2)


def test_sliced_trains_to_the_data(tools, start, covariance, mu):
    # along ±1 in both elements the trace of a 2 × 2 Hessian is off by ±2 P₁₂, which all signs undo
    x = tools.exact_draws(200, mu, covariance)
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    directions = signs.unsqueeze(1).expand(2, 200, 2)
    tools.minimise(lambda: sliced(start, x, directions, variance_reduced=True), start.parameters())
    expected = torch.linalg.inv(covariance)
    torch.testing.assert_close(start.precision.detach(), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(start.mean.detach(), mu, rtol=0, atol=1e-4)
