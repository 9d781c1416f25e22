"""Properties of every density of the plane, and of its points.

Each statistical check rejects what is right once in a million times or less often (the chi-square
at that level, the means at five standard errors); the seeds are fixed.
"""

import math

import pytest
import scipy.stats
import torch
from ebmcore_datasets import (
    Checkerboard,
    EightGaussians,
    GaussianMixture,
    Moons,
    Pinwheel,
    Rings,
    TwoSpirals,
)
from ebmcore_datasets.densities.density import CHUNK
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DATASETS = {
    "mixture": lambda **k: GaussianMixture(**k),
    "unequal_mixture": lambda **k: GaussianMixture(weights=[1, 2, 3, 4, 5], std=0.5, **k),
    "eight": lambda **k: EightGaussians(**k),
    "eight_near": lambda **k: EightGaussians(radius=1.0, std=0.6, **k),
    "rings": lambda **k: Rings(**k),
    "unequal_rings": lambda **k: Rings(radii=[0.2, 2.5], weights=[1, 3], std=0.3, **k),
    "board": lambda **k: Checkerboard(**k),
    "odd_board": lambda **k: Checkerboard(squares=3, side=2.4, **k),
    "one_square": lambda **k: Checkerboard(squares=1, side=4.0, std=0.3, **k),
    "soft_board": lambda **k: Checkerboard(squares=3, side=2.0, std=0.2, **k),
    "pinwheel": lambda **k: Pinwheel(**k),
    "pinwheel_back": lambda **k: Pinwheel(arms=3, twist=-0.7, tangential_std=0.4, **k),
    "spirals": lambda **k: TwoSpirals(**k),
    "short_spirals": lambda **k: TwoSpirals(turns=0.6, radius=2.0, std=0.4, **k),
    "moons": lambda **k: Moons(**k),
    "small_moons": lambda **k: Moons(radius=1.0, std=0.4, **k),
}
EACH = pytest.mark.parametrize("name", DATASETS)
LOW, BINS, WIDTH, FINE = -6.0, 30, 0.4, 4  # every edge of the boards is one of the fine cells'


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def cells():
    """The middles of fine cells over [-6, 6]², (cells, 2), and the volume of one."""
    width = WIDTH / FINE
    axis = LOW + width * (torch.arange(BINS * FINE, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(axis, axis), width**2


@EACH
def test_the_density_integrates_to_one(name):
    x, volume = cells()
    assert DATASETS[name]().log_prob(x).exp().sum().item() * volume == pytest.approx(1, abs=2e-6)


@EACH
def test_the_points_follow_the_density(name):
    n = 40_000
    x = DATASETS[name](n=n, generator=seeded(3))()
    which = ((x - LOW) / WIDTH).floor().long().clamp(0, BINS - 1)
    found = torch.bincount(which[:, 0] * BINS + which[:, 1], minlength=BINS**2).double()
    grid, volume = cells()
    p = DATASETS[name]().log_prob(grid).exp() * volume
    expected = n * p.reshape(BINS, FINE, BINS, FINE).sum((1, 3)).flatten()
    full = expected >= 10
    pairs = list(zip(found[full].tolist(), expected[full].tolist(), strict=True))
    rest = expected[~full].sum().item()
    if rest >= 10:
        pairs.append((found[~full].sum().item(), rest))
    statistic = sum((a - b) ** 2 / b for a, b in pairs)
    assert statistic < scipy.stats.chi2.isf(1e-6, len(pairs) - 1)


@EACH
def test_the_entropy_is_the_mean_surprise_of_the_draws(name):
    dataset = DATASETS[name](n=40_000, generator=seeded(4))
    surprise = -dataset.log_prob(dataset().double())
    error = surprise.std().item() / math.sqrt(len(surprise))
    assert abs(surprise.mean().item() - dataset.entropy) < 5 * error + 1e-12


@EACH
def test_the_entropy_is_the_integral(name):
    x, volume = cells()
    dataset = DATASETS[name]()
    p = dataset.log_prob(x).exp()
    assert dataset.entropy == pytest.approx(-torch.xlogy(p, p).sum().item() * volume, abs=2e-5)
    assert 0 <= dataset.entropy_error < 1e-7


@EACH
def test_the_entropy_is_computed_once_on_first_use(name, monkeypatch):
    calls = []
    cls = type(DATASETS[name]())
    original = cls._find_entropy
    monkeypatch.setattr(cls, "_find_entropy", lambda self: calls.append(1) or original(self))
    dataset = DATASETS[name]()
    dataset.log_prob(dataset()[:10])
    assert not calls
    assert dataset.entropy == dataset.entropy
    assert dataset.entropy_error == dataset.entropy_error
    assert len(calls) == 1


@EACH
def test_the_generator_alone_decides(name):
    make = DATASETS[name]
    state = torch.get_rng_state()
    first, again, other = (make(n=50, generator=seeded(s))() for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    dataset = make(n=50, generator=seeded(1))
    assert not torch.equal(dataset(), dataset())
    assert dataset.entropy
    assert torch.equal(state, torch.get_rng_state())
    assert make(n=7)().shape == (7, 2)


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_have_the_default_dtype_and_log_prob_that_of_x(name, dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        x = DATASETS[name](n=2000, generator=seeded())()
    finally:
        torch.set_default_dtype(before)
    assert x.dtype == dtype
    found = DATASETS[name]().log_prob(x)
    assert found.dtype == dtype
    assert found.isfinite().all()
    torch.testing.assert_close(found, DATASETS[name]().log_prob(x.double()).to(dtype))


class Largest(TorchDispatchMode):
    """Keeps the size in bytes of the largest tensor that any operation made."""

    size = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, torch.Tensor):
                self.size = max(self.size, tensor.numel() * tensor.element_size())
        return found


@EACH
def test_many_points_need_little_memory(name):
    """No tensor is larger than x itself or a chunk; a handful of them are alive at once."""
    x = torch.randn(90_000, 2, generator=seeded(), dtype=torch.float64)[::30].repeat(30, 1)
    dataset = DATASETS[name]()
    with Largest() as largest:
        found = dataset.log_prob(x)
    assert largest.size <= max(8 * CHUNK, 8 * x.numel())
    torch.testing.assert_close(found[:3000], found[-3000:], rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(
        found[:5], torch.cat([dataset.log_prob(x[i : i + 1]) for i in range(5)])
    )


@EACH
def test_log_prob_refuses_other_events(name):
    for shape in ((5, 3), (5,), (5, 2, 1), ()):
        with pytest.raises(ValueError, match=r"log_prob takes points \(m, 2\); got \("):
            DATASETS[name]().log_prob(torch.zeros(shape))
    assert DATASETS[name]().log_prob(torch.zeros(0, 2)).shape == (0,)


@EACH
def test_log_prob_far_away_is_a_number_and_falls(name):
    x = torch.tensor([[9.0, 7.0], [90.0, 70.0]], dtype=torch.float64)
    near, far = DATASETS[name]().log_prob(x).tolist()
    assert far <= near < -50
    assert "board" in name or far > -math.inf


@EACH
def test_the_data_of_the_defaults_are_of_one_scale(name):
    x = DATASETS[name](n=4000, generator=seeded())()
    assert x.mean(0).abs().max() < 1.5
    assert 1 < x.abs().max() < 5
    assert (x.abs() < 4).double().mean() > 0.97


@pytest.mark.parametrize(
    ("cls", "key", "value", "message"),
    [
        (
            EightGaussians,
            "radius",
            -1.0,
            "n, radius and std should be positive; got n=10000, radius=-1",
        ),
        (EightGaussians, "n", 0, "should be positive; got n=0"),
        (Rings, "std", 0.0, "n and std should be positive; got n=10000, std=0.0"),
        (Rings, "radii", [], "radii should be one or more positive numbers; got"),
        (
            Rings,
            "radii",
            [1.0, 0.0],
            r"radii should be one or more positive numbers; got \[1.0, 0.0\]",
        ),
        (Rings, "weights", [1.0], "one number for each of 3 radii; got 1"),
        (Rings, "weights", [1.0, -1.0, 2.0], "weights should be positive; got"),
        (Checkerboard, "squares", 0, "n, squares and side should be positive; .*squares=0"),
        (Checkerboard, "std", -0.1, "std should be 0 or positive; got -0.1"),
        (
            Pinwheel,
            "tangential_std",
            0.0,
            "tangential_std should be positive; .*tangential_std=0.0",
        ),
        (Pinwheel, "arms", 0, "arms=0"),
        (TwoSpirals, "turns", 0.0, "turns=0.0"),
        (Moons, "std", math.nan, "std=nan"),
        (Moons, "radius", math.inf, "radius=inf"),
    ],
)
def test_what_a_constructor_refuses(cls, key, value, message):
    with pytest.raises(ValueError, match=message):
        cls(**{key: value})
