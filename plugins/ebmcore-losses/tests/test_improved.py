"""Contrastive divergence with the gradient through the sampler's steps, and the entropy of it."""

import copy
import math
from typing import NamedTuple

import pytest
import torch
from ebmcore_losses import ImprovedCD, contrastive_divergence
from ebmcore_losses.improved import held_constant
from ebmcore_losses.numerics.nearest import nearest_neighbour_entropy
from torch import Tensor

from ebmcore import Kernel, Sampler, energy_and_score

ETA = 0.05


class State(NamedTuple):
    x: Tensor


class Descent(Kernel):
    """x′ = x - η∇E(x) + √(2η) ξ."""

    def init(self, energy, x):
        return State(x)

    def noise(self, x, generator):
        return (torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype),)

    def step(self, energy, state, noise):
        _, score = energy_and_score(energy, state.x)
        return State(state.x + ETA * score + math.sqrt(2 * ETA) * noise[0]), None


class Whole:
    def sample(self, energy, x, n_steps, generator):
        return x


def batch(seed=0, n=6, d=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def seeded():
    return torch.Generator().manual_seed(4)


def test_without_the_term_it_is_contrastive_divergence(tools):
    energy, x, x_neg = tools.Wavy(2), batch(0), batch(1)
    value, _ = ImprovedCD(kl_weight=0.0)(energy, x, x_neg, Sampler(Descent()), seeded())
    expected = contrastive_divergence(energy, x, x_neg)
    assert torch.equal(value, expected)
    for one, other in zip(
        torch.autograd.grad(value, energy.parameters()),
        torch.autograd.grad(expected, energy.parameters()),
        strict=True,
    ):
        assert torch.equal(one, other)


def walk(energy, x, noises):
    """Return where Descent leads, by its formula, without any graph."""
    for xi in noises:
        _, score = energy_and_score(energy, x)
        x = x + ETA * score + math.sqrt(2 * ETA) * xi
    return x


@pytest.mark.parametrize("through", [1, 3])
@pytest.mark.parametrize("entropy", [0.0, 0.7])
def test_gradient_is_that_of_differences_of_the_ends_alone(tools, through, entropy):
    # what is differenced: λ (mean Ē(x_θ) - h Ĥ(x_θ)) with Ē a copy that stays, and CD beside it
    energy, x, x_neg = tools.Wavy(2), batch(0), batch(1)
    frozen = copy.deepcopy(energy)
    loss = ImprovedCD(kl_weight=0.6, through=through, entropy=entropy)
    generator = seeded()
    noises = [Descent().noise(x_neg, generator)[0] for _ in range(through)]

    def reference():
        ends = walk(energy, x_neg, noises)
        term = frozen(ends).mean() - entropy * nearest_neighbour_entropy(ends)
        return contrastive_divergence(energy, x, x_neg) + 0.6 * (term - frozen(x_neg).mean())

    value, logged = loss(energy, x, x_neg, Sampler(Descent()), seeded())
    torch.testing.assert_close(value, reference())
    torch.testing.assert_close(logged["cd"] + 0.6 * logged["kl"], value)
    tools.assert_gradient_is_that_of_differences(
        lambda: loss(energy, x, x_neg, Sampler(Descent()), seeded())[0],
        list(energy.parameters()),
        of=reference,
    )


def test_the_term_moves_the_ends_downhill(tools):
    # a step of gradient descent on the term alone leaves the steps' ends lower in the old energy
    energy, x_neg = tools.Wavy(2), batch(1, n=50)
    frozen = copy.deepcopy(energy)
    noises = [Descent().noise(x_neg, seeded())[0]]
    before = frozen(walk(energy, x_neg, noises)).mean()
    _, logged = ImprovedCD()(energy, x_neg, x_neg, Sampler(Descent()), seeded())
    gradients = torch.autograd.grad(logged["kl"], energy.parameters())
    with torch.no_grad():
        for parameter, gradient in zip(energy.parameters(), gradients, strict=True):
            parameter -= 1e-3 * gradient
    after = frozen(walk(energy, x_neg, noises)).mean()
    assert after < before - 1e-6


def test_on_a_quadratic_energy_in_closed_form():
    # E = ½p x²: x_θ = x - ηpx + noise, so the term's gradient in p is -η mean(p x_θ x)
    p = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    x_neg = batch(1, d=1)
    value, logged = ImprovedCD()(
        lambda x: 0.5 * p * x[:, 0] ** 2, x_neg, x_neg, Sampler(Descent()), seeded()
    )
    xi = Descent().noise(x_neg, seeded())[0]
    end = x_neg - ETA * 1.5 * x_neg + math.sqrt(2 * ETA) * xi
    (found,) = torch.autograd.grad(logged["kl"], p)
    torch.testing.assert_close(found, -ETA * (1.5 * end * x_neg).mean())
    torch.testing.assert_close(value, 0.5 * 1.5 * (end.square() - x_neg.square()).mean())


def test_held_constant_has_the_gradient_through_x_alone(tools):
    energy = tools.Wavy(2)
    x = batch(0).requires_grad_()
    held = held_constant(energy, x)
    torch.testing.assert_close(held, energy(x))
    assert torch.autograd.grad(held.sum(), energy.inner, allow_unused=True, retain_graph=True)[
        0
    ] is None  # fmt: skip
    (through_x,) = torch.autograd.grad(held.sum(), x)
    torch.testing.assert_close(through_x, torch.autograd.grad(energy(x).sum(), x)[0])


def test_a_sampler_without_steps_is_refused(tools):
    with pytest.raises(ValueError, match=r"needs an ebmcore\.Kernel .*; Whole has none"):
        ImprovedCD()(tools.Wavy(2), batch(0), batch(1), Sampler(Whole()), None)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_entropy_of_a_gaussian(d):
    # 40 samples of 400 draws of N(0, I), whose entropy is d/2 log 2πe. Student's t with 39 degrees
    # of freedom over 5: a false alarm in 80,000. The estimate's bias with 400 draws in 5 dimensions
    # is larger than that, and is allowed for.
    found = torch.stack([nearest_neighbour_entropy(batch(seed, n=400, d=d)) for seed in range(40)])
    stderr = found.std() / math.sqrt(len(found))
    expected = d / 2 * math.log(2 * math.pi * math.e)
    assert abs(found.mean() - expected) < 5 * stderr + (0.0 if d < 5 else 0.2)


def test_entropy_grows_by_the_log_of_a_scale_in_each_dimension():
    x = batch(0, n=9, d=6)
    scale = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    scaled = nearest_neighbour_entropy((scale * x).view(9, 2, 3))
    torch.testing.assert_close(scaled, nearest_neighbour_entropy(x) + 6 * scale.detach().log())
    (gradient,) = torch.autograd.grad(scaled, scale)
    assert gradient.item() == pytest.approx(6 / 1.3)


def test_entropy_of_two_points_by_hand():
    # both nearest distances are 3: 1·log 3 + log 2 (a unit ball in one dimension) + ψ(2) - ψ(1)
    x = torch.tensor([[1.0], [4.0]], dtype=torch.float64)
    assert nearest_neighbour_entropy(x).item() == pytest.approx(math.log(3) + math.log(2) + 1)


def test_entropy_of_equal_draws_is_finite_of_one_is_refused():
    x = torch.zeros(3, 2, requires_grad=True)
    value = nearest_neighbour_entropy(x)
    value.backward()
    assert value.isfinite()
    assert torch.equal(x.grad, torch.zeros(3, 2))
    with pytest.raises(ValueError, match="at least two chains; got 1"):
        nearest_neighbour_entropy(torch.zeros(1, 2))
