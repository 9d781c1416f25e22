import math

import pytest
import torch
from ebmcore_datasets import GaussianMixture
from torch import distributions as d


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


MIXTURES = [
    {},
    {"std": 0.5, "centers": [[0, 0], [1, 1]], "weights": [3, 1]},
    {"std": 0.7, "centers": [[0.5]]},
    {"std": 0.4, "centers": [[-1.0], [1.0], [2.0]], "weights": [0.2, 0.5, 0.3]},
    {"std": 1.1, "centers": [[0, 0, 0], [1, 2, 3]]},
]
EACH = pytest.mark.parametrize("keys", MIXTURES)


def reference(std=0.3, centers=((0, 0), (2, 2), (2, -2), (-2, 2), (-2, -2)), weights=None):
    means = torch.tensor(centers, dtype=torch.float64)
    weights = torch.ones(len(means)) if weights is None else torch.tensor(weights)
    parts = d.Independent(d.Normal(means, torch.full_like(means, std)), 1)
    return d.MixtureSameFamily(d.Categorical(weights.double()), parts)


@EACH
def test_log_prob_is_that_of_torch_s_mixture(keys):
    mixture = GaussianMixture(**keys)
    x = 3 * torch.randn(200, mixture.centers.shape[1], generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(mixture.log_prob(x), reference(**keys).log_prob(x))
    single = mixture.log_prob(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, mixture.log_prob(x).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("keys", MIXTURES[:4])
def test_the_density_integrates_to_one(keys):
    mixture = GaussianMixture(**keys)
    line = torch.linspace(-7, 7, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(*[line] * mixture.centers.shape[1]).reshape(
        -1, mixture.centers.shape[1]
    )
    cell = (line[1] - line[0]).item() ** grid.shape[1]
    assert mixture.log_prob(grid).exp().sum().item() * cell == pytest.approx(1, abs=1e-6)


@EACH
def test_moments_are_those_of_the_density(keys):
    n = 40_000
    x = GaussianMixture(n=n, generator=seeded(7), **keys)().double()
    law = reference(**keys)
    mean_error = (x.mean(0) - law.mean).abs()
    assert (mean_error < 5 * (law.variance / n).sqrt()).all()
    squares = (x - law.mean).square()
    assert ((squares.mean(0) - law.variance).abs() < 5 * squares.std(0) / math.sqrt(n)).all()


def test_weights_are_the_shares_of_the_draws():
    n, share = 20_000, 0.25
    mixture = GaussianMixture(
        n=n, std=0.1, centers=[[0], [100]], weights=[6, 2], generator=seeded()
    )
    found = (mixture() > 50).double().mean().item()
    assert abs(found - share) < 5 * math.sqrt(share * (1 - share) / n)


def test_the_defaults():
    mixture = GaussianMixture()
    x = mixture()
    assert x.shape == (10_000, 2)
    assert x.dtype == torch.get_default_dtype()
    corners = {(a, b) for a in (-2.0, 2.0) for b in (-2.0, 2.0)}
    assert set(map(tuple, mixture.centers.tolist())) == corners | {(0.0, 0.0)}
    nearest = (x[:, None] - mixture.centers.to(x)).norm(dim=2).min(1).values
    assert abs(nearest.square().mean().item() / (2 * 0.3**2) - 1) < 5 / math.sqrt(10_000)


def test_the_generator_alone_decides():
    state = torch.get_rng_state()
    first, again, other = (GaussianMixture(n=50, generator=seeded(s))() for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())
    mixture = GaussianMixture(n=50, generator=seeded(1))
    assert not torch.equal(mixture(), mixture())


def test_entropy_is_closed_form_for_one_gaussian_alone():
    mixture = GaussianMixture(n=40_000, std=0.7, centers=[[1, 2, 3]], generator=seeded())
    surprise = -mixture.log_prob(mixture())
    stderr = surprise.std().item() / math.sqrt(len(surprise))
    assert abs(surprise.mean().item() - mixture.entropy) < 5 * stderr
    assert mixture.entropy == pytest.approx(3 / 2 * math.log(2 * math.pi * math.e * 0.49))
    assert mixture.entropy_error == 0.0


def test_entropy_of_gaussians_far_apart_adds_the_choice():
    mixture = GaussianMixture(std=0.1, centers=[[-3.0], [0.0], [3.0]], weights=[1, 2, 3])
    choice = -sum(w * math.log(w) for w in (1 / 6, 1 / 3, 1 / 2))
    expected = math.log(2 * math.pi * math.e * 0.01) / 2 + choice
    assert mixture.entropy == pytest.approx(expected, abs=1e-8)
    assert mixture.entropy_error < 1e-7
    no_grid = GaussianMixture(std=0.1, centers=[[0, 0], [900.0, 900.0]])
    assert no_grid.entropy == pytest.approx(math.log(2 * math.pi * math.e * 0.01) + math.log(2))


def test_entropy_in_more_dimensions_within_standard_error():
    """Centres on a line add the entropy of that line and of the noise beside it.

    Within 4.9 standard errors, but for one seed in a million.
    """
    line = GaussianMixture(std=0.5, centers=[[0.0], [1.0], [1.5]], weights=[1, 1, 2])
    space = GaussianMixture(std=0.5, centers=[[0, 7, 0], [1, 7, 0], [1.5, 7, 0]], weights=[1, 1, 2])
    expected = line.entropy + math.log(2 * math.pi * math.e * 0.25)
    assert line.entropy_error < 1e-7
    assert 1e-4 < space.entropy_error < 0.01
    assert abs(space.entropy - expected) < 4.9 * space.entropy_error


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"centers": [[0, 0], [1]]}, r"centers\[1\] should have 2 numbers, .*; got 1"),
        ({"centers": []}, "at least one point"),
        ({"centers": [[]]}, "at least one point"),
        ({"weights": [1, 2]}, "one number for each of 5 centers; got 2"),
        ({"weights": [1, 1, 1, 1, 0]}, r"weights should be positive; got \[1, 1, 1, 1, 0\]"),
        ({"std": 0.0}, "n and std should be positive; got n=10000, std=0.0"),
    ],
)
def test_what_a_constructor_refuses(keys, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**keys)


@pytest.mark.parametrize("shape", [(5, 3), (5,), (5, 2, 1), (5, 1)])
def test_log_prob_refuses_other_events(shape):
    with pytest.raises(ValueError, match=r"takes points \(m, 2\); got") as error:
        GaussianMixture().log_prob(torch.zeros(shape))
    assert str(error.value).endswith(str(shape))


def test_labels_are_each_points_gaussian_and_change_no_point():
    def drawn(**keys):
        return GaussianMixture(n=500, std=0.1, generator=torch.Generator().manual_seed(3), **keys)()

    x, y = drawn(labels=True)
    assert torch.equal(x, drawn())
    centres = GaussianMixture().centers.to(x)
    assert torch.equal(torch.cdist(x, centres).argmin(1), y)
