"""HMC and NUTS against laws that they leave invariant: a mixture, Rosenbrock, Gaussians."""

import math

import pytest
import torch
from ebmcore_hmc import HMC, NUTS

from ebmcore import sample_chain
from ebmcore.testing import from_law

# A comparison with a distribution rejects a correct sampler once in a million times,
# moments within 5 standard errors once in 1.7 million times.


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


WEIGHTS = torch.tensor([0.35, 0.65], dtype=torch.float64)
MEANS = torch.tensor([[-1.2, 0.0], [1.3, 1.0]], dtype=torch.float64)
SCALES = torch.tensor([0.5, 0.8], dtype=torch.float64)


def mixture(x):
    """E = -log of two round Gaussians of the plane, up to a constant."""
    squares = (x[:, None] - MEANS).square().sum(-1)
    return -torch.logsumexp(WEIGHTS.log() - 2 * SCALES.log() - squares / (2 * SCALES**2), 1)


def mixture_cdf(axis):
    return lambda x: (torch.special.ndtr((x[:, None] - MEANS[:, axis]) / SCALES) * WEIGHTS).sum(-1)


def mixture_draws(n, seed):
    left = torch.rand(n, generator=seeded(seed), dtype=torch.float64) < WEIGHTS[0]
    which = torch.where(left, 0, 1)
    return MEANS[which] + SCALES[which, None] * normal(n, 2, seed + 1)


@pytest.mark.parametrize("kernel", [HMC(0.4, leapfrog=3), HMC(0.8, leapfrog=3),
                                    NUTS(0.4, warm_up=0, max_depth=3), NUTS(0.9, warm_up=0)],
                         ids=["hmc .4", "hmc .8", "nuts .4", "nuts .9"])  # fmt: skip
def test_a_mixture_from_exact_draws(kernel):
    x = sample_chain(kernel, mixture, mixture_draws(10_000, 1), n_steps=10, generator=seeded(3))
    assert from_law(x[:, 0], mixture_cdf(0)).share < 1
    assert from_law(x[:, 1], mixture_cdf(1)).share < 1


def test_a_mixture_from_elsewhere():
    x = torch.tensor([3.0, -2.0], dtype=torch.float64).expand(2000, 2)
    x = sample_chain(HMC(0.4, leapfrog=5), mixture, x, n_steps=120, generator=seeded(3))
    assert from_law(x[:, 0], mixture_cdf(0)).share < 1
    assert from_law(x[:, 1], mixture_cdf(1)).share < 1


def test_a_step_of_nuts_is_reversible():
    """From exact draws (x, x') is as likely as (x', x): the mean of f(x) g(x') - g(x) f(x') is 0.

    Each of three such means is within 4 standard errors: a false alarm once in 5,000 seeds.
    """
    x = mixture_draws(40_000, 1)
    kernel = NUTS(0.9, warm_up=0, max_depth=4)
    energy = mixture
    moved, info = kernel.step(energy, kernel.init(energy, x), kernel.noise(x, seeded(3)))
    assert len(info.depth.unique()) > 2

    def numbers(x):
        a, b = x.unbind(1)
        return torch.stack([a, a.square(), b, (3 * a).sin() * b.square()])

    before, after = numbers(x), numbers(moved.x)
    for f, g in ((0, 1), (0, 3), (1, 2)):
        flow = before[f] * after[g] - before[g] * after[f]
        assert flow.mean().abs() < 4 * flow.std() / math.sqrt(len(flow))
        assert flow.std() > 0.1


def rosenbrock(x):
    return (1 - x[:, 0]).square() + 2 * (x[:, 1] - x[:, 0].square()).square()


def moments(x):
    a, b = x.unbind(-1)
    return torch.stack([a, a**2, b, b**2, a * b], -1)


def rosenbrock_moments():
    """Return the moments by quadrature over a grid that holds all but 1e-9 of the mass."""
    a = torch.linspace(-4, 6, 501, dtype=torch.float64)
    b = torch.linspace(-4, 40, 1761, dtype=torch.float64)
    grid = torch.cartesian_prod(a, b)
    return torch.softmax(-rosenbrock(grid), 0) @ moments(grid)


def rosenbrock_draws(n, seed):
    z = normal(n, 2, seed)
    a = 1 + math.sqrt(0.5) * z[:, 0]
    return torch.stack([a, a**2 + 0.5 * z[:, 1]], 1)


@pytest.mark.parametrize("kernel", [HMC(0.2, leapfrog=10), NUTS(0.2, warm_up=0, max_depth=4)])
@pytest.mark.parametrize("exact", [True, False])
def test_the_moments_of_rosenbrock(kernel, exact):
    if exact:
        x, n_steps = rosenbrock_draws(10_000, 1), 5
    else:
        x, n_steps = torch.tensor([-1.5, 0.0], dtype=torch.float64).expand(2000, 2), 100
    x = sample_chain(kernel, rosenbrock, x, n_steps=n_steps, generator=seeded(2))
    found = moments(x)
    stderr = found.std(0) / math.sqrt(len(x))
    assert ((found.mean(0) - rosenbrock_moments()).abs() < 5 * stderr).all()


@pytest.mark.parametrize("exact", [True, False])
def test_a_gaussian_of_condition_number_100(exact):
    angle = math.pi / 6
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turn, scales = turn.double(), torch.tensor([1.0, 10.0], dtype=torch.float64)

    def energy(x):
        return 0.5 * ((x @ turn) / scales).square().sum(1)

    if exact:
        x, n_steps = (normal(10_000, 2, 1) * scales) @ turn.T, 10
    else:
        x, n_steps = torch.tensor([10.0, -4.0], dtype=torch.float64).expand(2000, 2), 80
    kernel = HMC(1.3, leapfrog=10)
    x = sample_chain(kernel, energy, x, n_steps=n_steps, generator=seeded(2))
    z = (x @ turn) / scales
    for axis in (0, 1):
        assert from_law(z[:, axis], torch.special.ndtr).share < 1
    assert abs(z.prod(1).mean().item()) < 5 / math.sqrt(len(z))


def test_nuts_on_a_gaussian_of_condition_number_1000():
    """Three directions of scales 1 to 31.6, turned: a dense M⁻¹ is their covariance."""
    scales = torch.tensor([1.0, 6.0, 31.6], dtype=torch.float64)
    turn = torch.linalg.qr(normal(3, 3, 0)).Q
    kernel = NUTS(warm_up=60, mass="dense", max_depth=5)
    _, trace = sample_chain(
        kernel, lambda x: 0.5 * ((x @ turn) / scales).square().sum(1), 10 * normal(60, 3, 1),
        burn_in=60, n_steps=15, thin=15, generator=seeded(2), trace=True,
    )  # fmt: skip
    z = (trace.x[-1] @ turn) / scales
    stderr = 1 / math.sqrt(len(z))
    assert (z.mean(0).abs() < 5 * stderr).all()
    assert ((z.T.cov() - torch.eye(3)).abs() < 5 * math.sqrt(2) * stderr).all()
    assert trace.info.n_leapfrog.mean() < 20  # 31, the most, with masses of 1


def test_diagonal_nuts_on_a_gaussian_of_condition_number_1000():
    """Scales from 1 to 31.6 along the axes, from chains that know nothing of them."""
    scales = torch.tensor([1.0, 6.0, 31.6], dtype=torch.float64)
    kernel = NUTS(warm_up=150)
    _, trace = sample_chain(
        kernel, lambda x: 0.5 * (x / scales).square().sum(1), normal(200, 3, 1),
        burn_in=150, n_steps=10, thin=10, generator=seeded(2), trace=True,
    )  # fmt: skip
    z = trace.x[-1] / scales
    stderr = 1 / math.sqrt(len(z))
    assert (z.mean(0).abs() < 4 * stderr).all()
    assert ((z.T.cov() - torch.eye(3)).abs() < 4 * math.sqrt(2) * stderr).all()
    assert trace.info.n_leapfrog.mean() < 10  # some 60 with masses of 1
