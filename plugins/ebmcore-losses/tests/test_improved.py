"""Contrastive divergence with the gradient through the sampler's steps, and the entropy of it."""

import copy
import math
from typing import NamedTuple

import pytest
import torch
from ebmcore_losses import ImprovedCD, contrastive_divergence
from ebmcore_losses.improved import held_constant
from ebmcore_losses.numerics.nearest import nearest_neighbour_entropy, neighbour_for
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


def moved(scale, n, d, seed):
    """Return the ends of a Langevin step from N(0, I) on E = ½ (x/scale)², with their graph."""
    x, xi = batch(2 * seed, n=n, d=d), batch(2 * seed + 1, n=n, d=d)
    return x - ETA * x / scale**2 + math.sqrt(2 * ETA) * xi


@pytest.mark.parametrize("d", [1, 2, 3])
def test_gradient_of_the_entropy_has_a_variance(d):
    # where a step leads two chains that end side by side depends on where they began, so that the
    # gradient has a term in 1/ρ. It is -d·2η(1-η)/((1-η)²+2η) for the scale, to 5 standard errors,
    # and a batch 16 times as large deviates by no more. No batch of 40 is far from the others.
    deviations = []
    for n in (32, 512):
        found = torch.empty(40, dtype=torch.float64)
        for seed in range(40):
            scale = torch.ones((), dtype=torch.float64, requires_grad=True)
            entropy = nearest_neighbour_entropy(moved(scale, n, d, seed))
            (found[seed],) = torch.autograd.grad(entropy, scale)
        expected = d * (1 - ETA) * 2 * ETA / ((1 - ETA) ** 2 + 2 * ETA)
        assert abs(found.mean() - expected) < 5 * found.std() / math.sqrt(40)
        assert (found - found.mean()).abs().max() < 5 * found.std()
        deviations.append(found.std())
    assert deviations[1] < 1.3 * deviations[0]
    assert deviations[1] < 0.6 * expected


@pytest.mark.parametrize(
    ("n", "d", "expected"),
    [(400, 1, 20), (401, 1, 21), (10, 1, 5), (4, 1, 3), (400, 2, 3), (2, 2, 1), (400, 3, 1)],
)
def test_neighbour_is_the_nearest_whose_gradient_has_a_variance(n, d, expected):
    assert neighbour_for(n, d) == expected
    x = batch(0, n=n, d=d)
    taken = nearest_neighbour_entropy(x)
    assert torch.equal(taken, nearest_neighbour_entropy(x, neighbour=expected))


@pytest.mark.parametrize(
    ("law", "d"),
    [("gaussian", 1), ("gaussian", 2), ("gaussian", 5), ("uniform", 1), ("uniform", 2)],
)
def test_entropy_of_a_known_law(law, d):
    # 40 batches of 400: the bias is below twice what one batch's estimate deviates, 0.02 to 0.08;
    # k = 20, 3 and 1. In five dimensions it is larger, and allowed for.
    found = torch.empty(40, dtype=torch.float64)
    for seed in range(40):
        x = batch(seed, n=400, d=d)
        x = torch.special.ndtr(x) if law == "uniform" else x
        found[seed] = nearest_neighbour_entropy(x)
    expected = 0.0 if law == "uniform" else d / 2 * math.log(2 * math.pi * math.e)
    assert abs(found.mean() - expected) < 2 * found.std() + (0.2 if d == 5 else 0.0)


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


def test_entropy_of_three_points_by_hand():
    # the second nearest are 5, 4 and 5 away, in a plane: ⅔ log 100 + log π + ψ(3) - ψ(2) = ½
    x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    expected = 2 / 3 * math.log(5 * 4 * 5) + math.log(math.pi) + 0.5
    assert nearest_neighbour_entropy(x, neighbour=2).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="between 1 and 2 for 3 chains; got 3"):
        nearest_neighbour_entropy(x, neighbour=3)


def test_entropy_of_equal_draws_is_finite_of_one_is_refused():
    x = torch.zeros(3, 2, requires_grad=True)
    value = nearest_neighbour_entropy(x)
    value.backward()
    assert value.isfinite()
    assert torch.equal(x.grad, torch.zeros(3, 2))
    with pytest.raises(ValueError, match="at least two chains; got 1"):
        nearest_neighbour_entropy(torch.zeros(1, 2))
