"""Regularisers by hand, and their gradients by differences."""

import pytest
import torch
from ebmcore_losses import (
    energy_magnitude,
    gradient_penalty,
    l1_parameters,
    l2_parameters,
    noise_smoothness,
)
from torch import nn


def batch(seed):
    return torch.randn(5, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_energy_magnitude_by_hand():
    x, x_neg = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]])
    assert energy_magnitude(lambda x: x[:, 0], x, x_neg).item() == (1 + 9) / 2 + 4


def test_norms_of_parameters_by_hand_and_their_gradients():
    energy = nn.Linear(2, 1)
    energy.bias.requires_grad_(False)
    with torch.no_grad():
        energy.weight.copy_(torch.tensor([[3.0, -4.0]]))
    value = l2_parameters(energy)
    assert value.item() == 25.0
    (gradient,) = torch.autograd.grad(value, [energy.weight])
    torch.testing.assert_close(gradient, 2 * energy.weight)
    sizes = l1_parameters(energy)
    assert sizes.item() == 7.0
    (gradient,) = torch.autograd.grad(sizes, [energy.weight])
    assert gradient.tolist() == [[1.0, -1.0]]
    for penalty in (l1_parameters, l2_parameters):
        with pytest.raises(ValueError, match="no parameters"):
            penalty(nn.Identity())


def test_gradient_penalty_by_hand():
    # E = x² + 3y: ∇E = (2x, 3)
    def energy(x):
        return x[:, 0] ** 2 + 3 * x[:, 1]

    x, x_neg = torch.tensor([[1.0, 0.0], [2.0, 5.0]]), torch.tensor([[-3.0, 1.0]])
    at_data = (4 + 9 + 16 + 9) / 2
    assert gradient_penalty()(energy, x).item() == at_data
    assert gradient_penalty(at_samples=True)(energy, x, x_neg).item() == at_data + 36 + 9


def test_gradient_penalty_names_what_it_needs():
    assert gradient_penalty().__code__.co_varnames[:2] == ("energy", "x")
    assert "x_neg" in gradient_penalty(at_samples=True).__code__.co_varnames


def test_noise_smoothness_by_hand():
    # E = a·x is moved by σ a·ε, with the ε of the same stream
    a = torch.tensor([2.0, -1.0], dtype=torch.float64)
    value = noise_smoothness(lambda x: x @ a, batch(0), torch.Generator().manual_seed(3), sigma=0.4)
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    torch.testing.assert_close(value, (0.4 * noise @ a).square().mean())


def test_noise_smoothness_nears_the_gradient_penalty(tools):
    # E(x + σε) - E(x) ~ σ ∇E·ε: with ε along one element after the other, mean over both by hand
    energy, x = tools.Wavy(2), batch(1)
    noise = torch.randn(5, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(leaf).sum(), leaf)
    value = noise_smoothness(energy, x, torch.Generator().manual_seed(3), sigma=1e-5)
    expected = (gradient * noise).sum(1).square().mean()
    torch.testing.assert_close(value / 1e-10, expected, rtol=1e-3, atol=0)


def test_gradients_are_those_of_differences(tools):
    energy, x, x_neg = tools.Wavy(2), batch(1), batch(2)
    for value in (
        lambda: energy_magnitude(energy, x, x_neg),
        lambda: gradient_penalty()(energy, x),
        lambda: gradient_penalty(at_samples=True)(energy, x, x_neg),
        lambda: noise_smoothness(energy, x, torch.Generator().manual_seed(0)),
        lambda: l1_parameters(energy),
        lambda: l2_parameters(energy),
    ):
        tools.assert_gradient_is_that_of_differences(value, list(energy.parameters()))


def test_the_samples_are_held_constant(tools):
    x_neg = batch(2).requires_grad_()
    for penalty in (energy_magnitude, gradient_penalty(at_samples=True)):
        value = penalty(tools.Wavy(2), batch(1), x_neg)
        assert torch.autograd.grad(value, x_neg, allow_unused=True)[0] is None
