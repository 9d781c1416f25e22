"""log Z against quadrature in float64, with fixed and with trained constants."""

import math

import pytest
import torch
from ebmcore_analytic import (
    Ackley,
    DoubleWell,
    Funnel,
    Gaussian,
    GaussianMixture,
    ManyWell,
    Rastrigin,
    Ring,
    Rosenbrock,
    Sum,
    Tempered,
)

COVARIANCE = [[1.0, 0.6], [0.6, 0.8]]


@pytest.fixture(autouse=True)
def in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def polar(t):
    """(ρ, angle) -> the plane."""
    x = torch.stack([t[:, 0] * t[:, 1].cos(), t[:, 0] * t[:, 1].sin()], dim=1)
    return x, t[:, 0].log()


def stretched(t):
    """The second coordinate as a sinh, for the funnel's wide mouth and narrow neck."""
    return torch.stack([t[:, 0], t[:, 1].sinh()], dim=1), t[:, 1].cosh().log()


# energy, box, warp: exp(-E) is 0 to rounding at the box's sides
CASES = {
    "gaussian": (lambda **k: Gaussian((1,), mean=0.5, scale=0.3, **k), [(-3, 4, 500)], None),
    "gaussian_full": (
        lambda **k: Gaussian((2,), mean=[1.0, -1.0], covariance=COVARIANCE, **k),
        [(-8, 10, 150), (-9, 7, 150)],
        None,
    ),
    "gaussian_event": (
        lambda **k: Gaussian((2,), mean=[1.0, -1.0], scale=[0.5, 2.0], **k),
        [(-4, 6, 100), (-18, 16, 100)],
        None,
    ),
    "five_gaussians": (lambda **k: GaussianMixture((2,), **k), [(-5, 5, 160)] * 2, None),
    "mixture": (
        lambda **k: GaussianMixture(
            (1,), centers=[[-1.0], [0.5]], std=0.4, weights=[1.0, 3.0], **k
        ),
        [(-5, 5, 300)],
        None,
    ),
    "double_well": (lambda **k: DoubleWell((2,), **k), [(-3, 3, 200)] * 2, None),
    "tilted_well": (
        lambda **k: DoubleWell((1,), height=2.0, separation=3.0, tilt=0.7, **k),
        [(-5, 5, 400)],
        None,
    ),
    "many_well": (lambda **k: ManyWell((2,), **k), [(-4, 4, 400), (-9, 9, 100)], None),
    "ring": (lambda **k: Ring((2,), **k), [(1e-12, 5, 400), (0, 2 * math.pi, 3)], polar),
    "rosenbrock": (
        lambda **k: Rosenbrock((2,), mu=0.5, a=1.0, b=4.0, **k),
        [(-5, 6, 150), (-3, 40, 400)],
        None,
    ),
    "rosenbrock_chain": (
        lambda **k: Rosenbrock((3,), mu=0.0, a=4.0, b=4.0, **k),
        [(-2.2, 2.2, 40), (-2.5, 7, 70), (-3, 40, 300)],
        None,
    ),
    "rosenbrock_blocks": (
        lambda **k: Rosenbrock((3,), mu=0.0, a=4.0, b=4.0, blocks=2, **k),
        [(-2.2, 2.2, 40), (-2.5, 7, 80), (-2.5, 7, 80)],
        None,
    ),
    "funnel": (
        lambda **k: Funnel((2,), scale=1.5, **k),
        [(-11, 12, 200), (-9, 9, 3000)],
        stretched,
    ),
    "rastrigin": (lambda **k: Rastrigin((1,), **k), [(-8, 8, 2000)], None),
    "flat_rastrigin": (lambda **k: Rastrigin((2,), amplitude=0.5, **k), [(-7, 7, 200)] * 2, None),
}


@pytest.mark.parametrize("name", CASES)
def test_log_z_is_that_of_quadrature(name, integrate):
    make, box, warp = CASES[name]
    energy = make()
    assert abs(energy.log_z - integrate(energy, *box, warp=warp).log_z) < 1e-8


def test_log_z_and_share_of_sixteen_pairs(integrate):
    energy = ManyWell((32,))
    assert energy.log_z == pytest.approx(164.6957, abs=5e-5)
    assert energy.share_right == pytest.approx(0.8443, abs=5e-5)
    shallow = ManyWell((2,), depth=2.0, tilt=-0.4)
    law = integrate(shallow, (-5, 5, 8001), (-9, 9, 100))
    a = law.x[:, 0]
    right = (a > 1e-9) + 0.5 * (a.abs() <= 1e-9)  # the edge counts half
    assert shallow.share_right == pytest.approx(law.mean(right), abs=1e-5)


def test_log_z_of_a_ring_that_the_origin_cuts(integrate):
    # ρ exp(-(ρ - r)²/(2s²)) has a slope at 0, where the trapezoidal rule's error is of order h²;
    # Simpson's rule, of two trapezoidal ones, has none of that order
    energy = Ring((2,), radius=0.5, width=1.0)
    angle = (0, 2 * math.pi, 3)
    coarse = integrate(energy, (1e-12, 12, 4001), angle, warp=polar).log_z
    fine = integrate(energy, (1e-12, 12, 8001), angle, warp=polar).log_z
    simpson = math.log((4 * math.exp(fine) - math.exp(coarse)) / 3)
    assert abs(energy.log_z - simpson) < 1e-10


def test_log_z_of_sharp_flat_and_steep_double_wells(integrate):
    cases = [
        ({"height": 1e4}, (-1.1, 1.1, 20_000)),
        ({"height": 1e-3}, (-20, 20, 4000)),
        ({"height": 1.0, "tilt": 50.0}, (-6, 4, 4000)),
        ({"height": 0.5, "separation": 10.0, "tilt": -3.0}, (-30, 40, 4000)),
    ]
    for keys, side in cases:
        energy = DoubleWell((1,), **keys)
        assert abs(energy.log_z - integrate(energy, side).log_z) < 1e-10


def test_log_z_of_events_of_several_numbers():
    assert DoubleWell((2, 3)).log_z == pytest.approx(6 * DoubleWell((1,)).log_z, abs=1e-12)
    assert Rastrigin((4,)).log_z == pytest.approx(4 * Rastrigin((1,)).log_z, abs=1e-12)
    root = math.log(2 * math.pi) / 2
    assert Funnel((10,)).log_z == pytest.approx(math.log(3) + 10 * root, abs=1e-12)
    mixture = GaussianMixture((3,), centers=[[0.0] * 3, [1.0] * 3])
    assert mixture.log_z == pytest.approx(3 * (math.log(0.3) + root), abs=1e-12)
    assert Gaussian((4, 2), scale=0.5).log_z == pytest.approx(8 * (math.log(0.5) + root), abs=1e-12)


def test_ackley_has_none():
    energy = Ackley((2,))
    assert energy.log_z is None
    assert not energy.can_sample
    with pytest.raises(ValueError, match="energy ackley has no exact sampler"):
        energy.sample(3)


@pytest.mark.parametrize("temperature", [0.25, 3.0])
def test_log_z_of_a_tempered_gaussian(integrate, temperature):
    energy = Tempered(Gaussian((2,), mean=[1.0, -1.0], covariance=COVARIANCE),
                      temperature=temperature)  # fmt: skip
    found = integrate(energy, (-16, 18, 250), (-16, 14, 250))
    assert abs(energy.log_z - found.log_z) < 1e-8


def test_a_sum_of_gaussians_has_the_summed_precision(integrate):
    one = Gaussian((2,), mean=[1.0, 0.0], covariance=COVARIANCE)
    two = Gaussian((2,), mean=[-1.0, 2.0], scale=[0.5, 2.0])
    energy = Sum([one, Tempered(two, temperature=2.0)], weights=[0.5, 3.0])
    precision = 0.5 * one.precision + 1.5 * two.precision
    linear = 0.5 * one.precision @ one.mean + 1.5 * two.precision @ two.mean
    mean = torch.linalg.solve(precision, linear)
    alone = Gaussian((2,), mean=mean.tolist(), covariance=precision.inverse().tolist())
    least = float(energy(mean[None]))  # E is the lone Gaussian's and this constant
    assert energy.log_z == pytest.approx(alone.log_z - least, abs=1e-12)
    x = torch.tensor([[0.3, -2.0], [5.0, 1.0]])
    torch.testing.assert_close(energy(x), alone(x) + least)
    found = integrate(energy, (-8, 6, 200), (-8, 10, 200))
    assert abs(energy.log_z - found.log_z) < 1e-8


def test_a_combination_that_is_not_gaussian_raises():
    gaussian, ring = Gaussian((2,)), Ring((2,))
    for energy in (
        Sum([gaussian, ring]),
        Tempered(ring),
        Sum([gaussian, torch.sum]),
        Sum([gaussian], weights=[-1.0]),
        Sum([gaussian, Gaussian((2,), scale=2.0)], weights=[1.0, -4.0]),
    ):
        assert energy.log_z is None
        assert not energy.can_sample
        with pytest.raises(ValueError, match="has no exact sampler"):
            energy.sample(3)
    assert Sum([gaussian, ring], weights=[1.0, 0.0]).log_z == pytest.approx(gaussian.log_z)


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("rosenbrock_chain", "funnel")])
def test_trained_constants_move_log_z_as_they_move_the_energy(name, integrate):
    # d log Z / dθ = -E_p[dE/dθ]: the left by differences of log_z, the right by quadrature
    make, box, warp = CASES[name]
    energy = make(learnable=True)
    assert energy.log_z == pytest.approx(make().log_z, abs=1e-12)
    assert not list(make().parameters())
    law = integrate(energy, *box, warp=warp)
    expected = torch.autograd.grad(law.shares @ energy(law.x), list(energy.parameters()))
    h = 1e-5
    for parameter, gradient in zip(energy.parameters(), expected, strict=True):
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            ends = []
            for step in (h, -2 * h):
                flat[i] += step
                ends.append(energy.log_z)
            flat[i] += h
            slope = (ends[0] - ends[1]) / (2 * h)
            assert slope == pytest.approx(-float(gradient.view(-1)[i]), abs=2e-6)


@pytest.mark.parametrize("name", CASES)
def test_positive_constants_stay_positive(name):
    make, _, _ = CASES[name]
    energy = make(learnable=True)
    x = torch.ones(1, *energy.event_shape)
    for step in (-2.0, 4.0):
        with torch.no_grad():
            for key, parameter in energy.named_parameters():
                if key.startswith("log"):
                    parameter += step
        assert math.isfinite(energy.log_z)
        assert energy(x).isfinite().all()
        assert energy.sample(2, torch.Generator().manual_seed(0)).isfinite().all()


def test_weights_and_logs_are_of_float32_too():
    energy = GaussianMixture((2,)).float()
    assert energy.log_z == pytest.approx(GaussianMixture((2,)).log_z, abs=1e-6)
