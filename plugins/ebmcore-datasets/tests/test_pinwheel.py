import math

import pytest
import scipy.stats
import torch
from ebmcore_datasets import Pinwheel


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def turned(along, across, angle):
    """The point z = (along, across) turned counter-clockwise, as complex numbers turn."""
    x = complex(along, across) * complex(math.cos(angle), math.sin(angle))
    return [x.real, x.imag]


@pytest.mark.parametrize("twist", [0.0, 0.35, -1.0])
def test_log_prob_of_one_arm_is_that_of_the_unturned_point(twist):
    wheel = Pinwheel(arms=1, twist=twist, radius=2.0, radial_std=0.6, tangential_std=0.2)
    for along, across in ((2.0, 0.0), (3.0, 0.3), (0.5, -0.4), (-1.0, 0.7)):
        x = turned(along, across, twist * math.hypot(along, across))
        found = wheel.log_prob(torch.tensor([x], dtype=torch.float64)).item()
        expected = scipy.stats.norm(2.0, 0.6).logpdf(along) + scipy.stats.norm(0, 0.2).logpdf(
            across
        )
        assert found == pytest.approx(expected, rel=1e-10)


def test_log_prob_is_the_mean_over_the_arms():
    arms, twist = 3, 0.5
    wheel = Pinwheel(arms=arms, twist=twist, radius=1.0, radial_std=0.5, tangential_std=0.4)
    law = scipy.stats.multivariate_normal([1.0, 0.0], [[0.25, 0], [0, 0.16]])
    for x in ([0.0, 0.0], [0.7, -0.2], [-1.1, 1.3]):
        back = twist * math.hypot(*x)
        each = [law.pdf(turned(*x, -back - 2 * math.pi * k / arms)) for k in range(arms)]
        found = wheel.log_prob(torch.tensor([x], dtype=torch.float64)).item()
        assert found == pytest.approx(math.log(sum(each) / arms), rel=1e-10)


def test_a_turn_by_the_radius_keeps_areas():
    """The Jacobian of x -> z has determinant 1 everywhere, which makes the density exact."""
    twist = 0.8

    def turn(z):
        angle = twist * z.norm()
        cos, sin = angle.cos(), angle.sin()
        return torch.stack([cos * z[0] - sin * z[1], sin * z[0] + cos * z[1]])

    for z in torch.randn(20, 2, generator=seeded(), dtype=torch.float64):
        jacobian = torch.autograd.functional.jacobian(turn, z)
        assert torch.linalg.det(jacobian).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("twist", [0.35, -2.0])
def test_the_entropy_of_one_arm_is_that_of_its_gaussian(twist):
    wheel = Pinwheel(arms=1, twist=twist, radial_std=0.7, tangential_std=0.3)
    assert wheel.entropy == pytest.approx(1 + math.log(2 * math.pi * 0.7 * 0.3), abs=1e-7)
    assert wheel.entropy_error < 1e-7


def test_entropy_of_arms_too_thin_for_a_grid_is_by_draws():
    wheel = Pinwheel(arms=4, radius=3.0, radial_std=0.1, tangential_std=1e-4)
    apart = 1 + math.log(2 * math.pi * 0.1 * 1e-4) + math.log(4)  # no two arms meet
    assert wheel.entropy == pytest.approx(apart, abs=1e-9)


def test_the_points_turned_back_are_gaussian():
    """Once in a million times it fails, for each of the three."""
    wheel = Pinwheel(n=20_000, arms=1, twist=0.9, generator=seeded())
    x = wheel().double()
    angle = -0.9 * x.norm(dim=1)
    z = torch.view_as_complex(x.contiguous()) * torch.polar(torch.ones_like(angle), angle)
    assert scipy.stats.kstest(z.real.numpy(), scipy.stats.norm(2.0, 0.6).cdf).pvalue > 1e-6
    assert scipy.stats.kstest(z.imag.numpy(), scipy.stats.norm(0.0, 0.2).cdf).pvalue > 1e-6
    correlation = torch.corrcoef(torch.stack([z.real, z.imag]))[0, 1].item()
    assert abs(correlation) < 5 / math.sqrt(20_000)


def test_every_arm_has_its_share():
    n = 20_000
    wheel = Pinwheel(n=n, arms=5, twist=0.0, radius=5.0, generator=seeded())
    x = wheel()
    arm = torch.round(torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi / 5)).long() % 5
    shares = torch.bincount(arm, minlength=5) / n
    assert ((shares - 0.2).abs() < 5 * math.sqrt(0.2 * 0.8 / n)).all()
