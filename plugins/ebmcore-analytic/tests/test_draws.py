"""Draws against quadrature: the laws of coordinates and energies, and their moments.

The laws are compared by Kolmogorov-Smirnov. By the inequality of Dvoretzky, Kiefer, Wolfowitz and
Massart, P(distance > ε) ≤ 2 exp(-2nε²): with 40,000 draws and ε = 0.0137, 6e-7 for each statistic,
as for the 5 standard errors that a mean is allowed; about 1e-4 for this whole file, were its seeds
not fixed. The grids' own error was measured to be below 4e-3 (of the law of E, whose values tie on
a grid), so ε is 0.018.
"""

import math

import pytest
import torch
from ebmcore_analytic import (
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

N = 40_000
DISTANCE = 0.018


@pytest.fixture(autouse=True)
def in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def stretched(t):
    """The second coordinate as a sinh, for the funnel's wide mouth and narrow neck."""
    return torch.stack([t[:, 0], t[:, 1].sinh()], dim=1), t[:, 1].cosh().log()


CASES = {
    "gaussian": (
        lambda: Gaussian((2,), mean=[1.0, -1.0], scale=[0.5, 2.0]),
        [(-4, 6, 300), (-18, 16, 300)],
        None,
    ),
    "gaussian_full": (
        lambda: Gaussian((2,), mean=[1.0, -1.0], covariance=[[1.0, 0.7], [0.7, 0.6]]),
        [(-7, 9, 400), (-7, 5, 400)],
        None,
    ),
    "mixture": (
        lambda: GaussianMixture(
            (2,), centers=[[0.0, 0.0], [2.0, 1.0]], std=0.4, weights=[1.0, 3.0]
        ),
        [(-3, 5, 500), (-3, 4, 500)],
        None,
    ),
    "double_well": (lambda: DoubleWell((2,)), [(-2.5, 2.5, 400)] * 2, None),
    "tilted_well": (
        lambda: DoubleWell((1,), height=2.0, separation=3.0, tilt=0.7),
        [(-5, 5, 20_000)],
        None,
    ),
    "many_well": (lambda: ManyWell((2,)), [(-3, 3, 600), (-6, 6, 300)], None),
    "ring": (lambda: Ring((2,)), [(-3.8, 3.8, 600)] * 2, None),
    "cut_ring": (lambda: Ring((2,), radius=0.5, width=1.0), [(-7, 7, 600)] * 2, None),
    "rosenbrock": (
        lambda: Rosenbrock((2,), mu=0.5, a=1.0, b=2.0),
        [(-5, 6, 600), (-4, 40, 1200)],
        None,
    ),
    "funnel": (
        lambda: Funnel((2,), scale=1.5),
        [(-11, 12, 400), (-9, 9, 2000)],
        stretched,
    ),
    "rastrigin": (lambda: Rastrigin((1,)), [(-7, 7, 60_000)], None),
    "flat_rastrigin": (lambda: Rastrigin((2,), amplitude=1.0), [(-5, 5, 600)] * 2, None),
    "sum": (
        lambda: Sum(
            [Gaussian((2,), mean=1.0, scale=[1.0, 2.0]),
             Gaussian((2,), covariance=[[1.0, 0.7], [0.7, 0.6]])],
            weights=[2.0, 0.5],
        ),
        [(-6, 7, 400), (-6, 8, 400)],
        None,
    ),
    "tempered": (
        lambda: Tempered(Gaussian((2,), mean=[2.0, 0.0], scale=[0.5, 1.0]), temperature=3.0),
        [(-6, 10, 400), (-16, 16, 400)],
        None,
    ),
}  # fmt: skip


def statistics(energy, x):
    found = {f"x{i}": x[:, i] for i in range(x.shape[1])}
    if x.shape[1] == 2:
        found["aslant"] = x[:, 0] + x[:, 1] / math.sqrt(2)  # irrational: no ties on the grid
    with torch.no_grad():
        return {**found, "E": energy(x)}


@pytest.mark.parametrize("name", CASES)
def test_samples_follow_the_density_of_the_energy(name, integrate):
    make, box, warp = CASES[name]
    energy = make()
    x = energy.sample(N, torch.Generator().manual_seed(3))
    law = integrate(energy, *box, warp=warp)
    ours, theirs = statistics(energy, x), statistics(energy, law.x)
    for key, values in theirs.items():
        assert law.distance(values, ours[key]) < DISTANCE, key
        if name == "funnel" and key != "x0":  # its tails are so wide that 5 sd isn't 6e-7 yet
            continue
        mean = law.mean(values)
        stderr = math.sqrt((law.mean(values**2) - mean**2) / N)
        assert abs(float(ours[key].mean()) - mean) < 5 * stderr, key
    if x.shape[1] == 2 and name not in ("funnel", "rosenbrock"):
        products = law.x[:, 0] * law.x[:, 1]
        mean = law.mean(products)
        stderr = math.sqrt((law.mean(products**2) - mean**2) / N)
        assert abs(float((x[:, 0] * x[:, 1]).mean()) - mean) < 5 * stderr


def test_the_table_inverts_the_cdf_of_a_ring():
    from ebmcore_analytic.numerics.line import cells_for, tabulate

    r, s = 0.7, 0.4
    low, high = 0.0, r + 10 * s
    table = tabulate(
        lambda rho: rho.log() - (rho - r).square() / (2 * s**2), low, high, cells_for(low, high, s)
    )
    u = torch.linspace(0.0, 1.0 - 1e-9, 1001)
    rho = table.quantile(u)

    def mass(rho):  # ∫₀^ρ t exp(-(t - r)²/(2s²)) dt, in closed form
        bend = s**2 * (math.exp(-(r**2) / (2 * s**2)) - (-(rho - r).square() / (2 * s**2)).exp())
        rise = ((rho - r) / (s * math.sqrt(2))).erf() + math.erf(r / (s * math.sqrt(2)))
        return bend + r * s * math.sqrt(math.pi / 2) * rise

    whole = mass(torch.tensor(high))
    assert float((mass(rho) / whole - u).abs().max()) < 1e-8


@pytest.mark.parametrize(
    ("keys", "side"),
    [
        ({"height": 1e4}, (-1.1, 1.1, 40_001)),
        ({"height": 1e-3}, (-20, 20, 20_001)),
        ({"height": 1.0, "tilt": 30.0}, (-5, 3, 20_001)),
    ],
)
def test_draws_of_sharp_flat_and_steep_wells(keys, side, integrate):
    energy = DoubleWell((1,), **keys)
    x = energy.sample(N, torch.Generator().manual_seed(1))
    law = integrate(energy, side)
    for key, values in statistics(energy, law.x).items():
        assert law.distance(values, statistics(energy, x)[key]) < DISTANCE, key


@pytest.mark.parametrize(("blocks", "before"), [(1, (0, 1, 2, 3)), (2, (0, 1, 0, 3))])
def test_rosenbrocks_steps_are_independent_of_variance_1_2b(blocks, before):
    a, b = 2.0, 8.0
    energy = Rosenbrock((5,), mu=0.3, a=a, b=b, blocks=blocks)
    x = energy.sample(N, torch.Generator().manual_seed(2))
    steps = x[:, 1:] - x[:, list(before)].square()
    whole = torch.cat([(x[:, :1] - 0.3) * math.sqrt(2 * a), steps * math.sqrt(2 * b)], dim=1)
    # N(0, I): a mean has the standard error 1/√n, a variance √(2/n), a covariance 1/√n
    assert (whole.mean(0).abs() < 5 / math.sqrt(N)).all()
    covariance = whole.T.cov() - torch.eye(5)
    assert (covariance.diagonal().abs() < 5 * math.sqrt(2 / N)).all()
    assert (covariance.tril(-1).abs() < 5 / math.sqrt(N)).all()


def test_the_funnels_neck_widens_with_v():
    x = Funnel((3, 2)).sample(N, torch.Generator().manual_seed(4)).flatten(1)
    v, white = x[:, :1] / 3, x[:, 1:] * (-x[:, :1] / 2).exp()
    whole = torch.cat([v, white], dim=1)
    assert (whole.mean(0).abs() < 5 / math.sqrt(N)).all()
    covariance = whole.T.cov() - torch.eye(6)
    assert (covariance.diagonal().abs() < 5 * math.sqrt(2 / N)).all()
    assert (covariance.tril(-1).abs() < 5 / math.sqrt(N)).all()


@pytest.mark.parametrize("name", CASES)
def test_samples_depend_on_the_generator_alone(name):
    make, _, _ = CASES[name]
    energy = make()
    assert energy.can_sample
    before = torch.get_rng_state()
    draws = [
        energy.train(mode).sample(7, torch.Generator().manual_seed(5)) for mode in (False, True)
    ]
    assert torch.equal(*draws)
    assert torch.equal(before, torch.get_rng_state())
    assert draws[0].shape[0] == 7
    assert draws[0].dtype == torch.float64
    assert not draws[0].requires_grad
    single = make().float().sample(7, torch.Generator().manual_seed(5))
    assert single.dtype == torch.float32
    assert energy.sample(1).shape == draws[0][:1].shape
    with pytest.raises(ValueError, match="n should be at least 1; got 0"):
        energy.sample(0)


def test_draws_have_the_shape_of_the_event():
    generator = torch.Generator().manual_seed(0)
    sum_of = Sum([Gaussian((2, 3), scale=4.0, learnable=True)])
    for energy in (Gaussian((2, 3)), DoubleWell((2, 3)), Funnel((2, 3)), Rastrigin((2, 3)), sum_of):
        x = energy.sample(4, generator)
        assert x.shape == (4, 2, 3)
        assert energy(x).shape == (4,)
        assert not x.requires_grad
    assert Gaussian((), scale=2.0).sample(4, generator).shape == (4,)
