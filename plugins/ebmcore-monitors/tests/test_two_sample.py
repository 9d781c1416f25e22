import math

import pytest
import torch
from ebmcore_monitors.energy_histogram import EnergyHistogram, uniform_over_box
from ebmcore_monitors.statistics import permutation
from ebmcore_monitors.statistics.mmd import gaussian_kernel, squared_mmd
from ebmcore_monitors.statistics.sliced_wasserstein import directions, sliced_wasserstein
from ebmcore_monitors.two_sample import TwoSample


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def first(n, m):
    """The true labels alone: n points of x, then m of y."""
    return (torch.arange(n + m) < n)[None]


def normal(n, d, seed):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


def test_mmd_by_hand():
    # distances 1, 2, 4, 1, 3, 2: median 2
    kernel = gaussian_kernel(torch.tensor([[0.0], [1.0], [2.0], [4.0]], dtype=torch.float64))
    k = [math.exp(-(distance**2) / 8) for distance in range(5)]
    expected = k[1] + k[2] - 2 * (k[2] + k[4] + k[1] + k[3]) / 4
    assert squared_mmd(kernel, first(2, 2)).item() == pytest.approx(expected, abs=1e-12)


def test_mmd_of_samples_of_two_sizes_is_the_double_sum():
    x, y = normal(3, 2, 0), normal(5, 2, 1) + 1
    kernel = gaussian_kernel(torch.cat([x, y]))

    def mean(rows, columns):
        pairs = [(i, j) for i in rows for j in columns if i != j]
        return sum(float(kernel[i, j]) for i, j in pairs) / len(pairs)

    a, b = range(3), range(3, 8)
    expected = mean(a, a) + mean(b, b) - 2 * mean(a, b)
    assert squared_mmd(kernel, first(3, 5)).item() == pytest.approx(expected, abs=1e-12)


def test_mmd_of_gaussians_is_the_closed_form():
    d, shift, s, n = 2, 1.5, 1.3, 40
    labels, found = first(n, n), []
    for seed in range(256):
        pooled = normal(2 * n, d, seed)
        pooled[n:, 0] += shift
        kernel = torch.exp(-torch.cdist(pooled, pooled).square() / (2 * s**2))
        found.append(squared_mmd(kernel, labels).item())
    found = torch.tensor(found)
    # x - x' is N(0, 2I), x - y is N(m, 2I): means of a Gaussian over a Gaussian
    same = (s**2 / (s**2 + 2)) ** (d / 2)
    expected = 2 * same * (1 - math.exp(-(shift**2) / (2 * (s**2 + 2))))
    # 256 independent, unbiased estimates; 4 standard errors: once in 16,000
    assert abs(float(found.mean()) - expected) < 4 * float(found.std()) / 16


def test_sliced_wasserstein_on_a_line_by_hand():
    pooled = torch.tensor([[5.0], [1.0], [0.0], [2.0]], dtype=torch.float64)
    found = sliced_wasserstein(pooled, first(2, 2), torch.tensor([[1.0], [-1.0]]).double())
    assert found.item() == pytest.approx(math.sqrt((1**2 + 3**2) / 2), abs=1e-12)


def test_sliced_wasserstein_of_shifted_gaussians_is_the_closed_form():
    # y is x moved by m, so that each shadow moves by θᵀm exactly, and SW² = mean (θᵀm)² -> |m|²/d
    d, count = 5, 4000
    x, m = normal(100, d, 0), torch.tensor([1.0, -2.0, 0.0, 2.0, 0.0], dtype=torch.float64)
    along = directions(count, d, seeded(1))
    found = sliced_wasserstein(torch.cat([x, x + m]), first(100, 100), along).item() ** 2
    # (θᵀm)²/|m|² is Beta(½, (d - 1)/2); 4 standard errors of its mean over the directions
    error = 9 * math.sqrt(2 * (d - 1) / (d**2 * (d + 2)) / count)
    assert found == pytest.approx(9 / d, abs=4 * error)


def test_directions_are_unit_vectors_in_all_directions():
    along = directions(20_000, 3, seeded(0))
    assert along.norm(dim=1).tolist() == pytest.approx([1.0] * 20_000)
    # each of the 3 means has standard error 1/√(3 count): 4.5 of them, once in 50,000
    assert along.mean(0).abs().max() < 4.5 / math.sqrt(60_000)


def test_p_values_by_hand():
    labels = torch.zeros(5, 2, dtype=torch.bool)
    values = torch.tensor([2.0, 1.0, 2.0, 3.0, 0.0])
    tested = permutation.test(lambda rows: values, labels)
    assert tested == (2.0, (1 + 2) / 5)


def test_relabellings_keep_the_sizes_and_begin_with_the_truth():
    labels = permutation.relabellings(3, 7, 4000, seeded(0))
    assert labels[0].tolist() == [True] * 3 + [False] * 7
    assert (labels.sum(1) == 3).all()
    # each point is of x with probability 3/10; 4.5 standard errors over 10 points: once in 15,000
    share = labels[1:].double().mean(0)
    assert (share - 0.3).abs().max() < 4.5 * math.sqrt(0.3 * 0.7 / 4000)


@pytest.mark.parametrize("name", ["mmd", "sliced_wasserstein"])
def test_p_values_are_uniform_for_one_law(name):
    tests, permutations = 200, 19
    along, p = directions(5, 2, seeded(0)), []
    for seed in range(tests):
        g = seeded(1000 + seed)
        pooled = torch.randn(24, 2, generator=g, dtype=torch.float64)
        labels = permutation.relabellings(12, 12, permutations, g)
        if name == "mmd":
            kernel = gaussian_kernel(pooled)
            tested = permutation.test(lambda rows, k=kernel: squared_mmd(k, rows), labels)
        else:
            tested = permutation.test(
                lambda rows, x=pooled: sliced_wasserstein(x, rows, along), labels
            )
        p.append(tested.p)
    # P(p <= k/20) = k/20 exactly; Kolmogorov-Smirnov at a level of 1e-4, less for a discrete law
    shares = torch.arange(1, 21) / 20
    below = (torch.tensor(p)[:, None] <= shares + 1e-6).double().mean(0)
    assert (below - shares).abs().max() < math.sqrt(math.log(2 / 1e-4) / 2 / tests)


def view_of(make_view, held_out, samples, **known):
    return make_view(
        None, held_out, held_out=held_out, draw=lambda n, k: samples[:n].clone(), **known
    )


def test_a_shift_is_seen_and_its_size_told(make_view):
    x = normal(300, 2, 0).float()
    found = TwoSample(permutations=99)(view_of(make_view, x, normal(300, 2, 1).float() + 2.0))
    assert found["mmd_p"] == found["sliced_wasserstein_p"] == 0.01
    # |m|/√d = 2; each of the means has standard error √(2/300), and sampling adds a little
    assert found["sliced_wasserstein"] == pytest.approx(2.0, abs=5 * math.sqrt(2 / 300))
    assert found["mmd_squared"] > 0.3


def test_the_same_law_is_not_told_apart(make_view):
    x = normal(200, 2, 0).float()
    found = TwoSample(permutations=99)(view_of(make_view, x, normal(200, 2, 1).float()))
    assert min(found["mmd_p"], found["sliced_wasserstein_p"]) > 0.01  # chance: 1 % each
    assert found["sliced_wasserstein"] < 0.5


def test_images_are_flattened_and_as_many_samples_drawn_as_held_out(make_view):
    images = torch.rand(40, 4, 4, generator=seeded(0))
    asked = []

    def draw(n, n_steps):
        asked.append((n, n_steps))
        return torch.rand(n, 4, 4, generator=seeded(1))

    view = make_view(None, images, held_out=images, draw=draw)
    found = TwoSample(n=30, n_steps=9, permutations=9, projections=7)(view)
    assert asked == [(30, 9)]
    assert set(found) == {"mmd_squared", "mmd_p", "sliced_wasserstein", "sliced_wasserstein_p"}


def test_points_that_are_all_the_same_have_no_bandwidth(make_view):
    x = torch.zeros(10, 2)
    found = TwoSample(permutations=9)(view_of(make_view, x, x))
    assert found == {"sliced_wasserstein": 0.0, "sliced_wasserstein_p": 1.0}


def test_what_two_sample_needs_is_said(make_view, warned):
    x = torch.zeros(10, 2)
    with pytest.raises(ValueError, match=r"set data\.holdout"):
        TwoSample()(make_view(None, x, draw=lambda n, k: x[:n]))
    with pytest.raises(ValueError, match="no sampler"):
        TwoSample()(make_view(None, x, held_out=x))
    assert TwoSample()(view_of(make_view, x, x * math.nan)) == {}
    assert warned.about("not finite")
    with pytest.raises(ValueError, match="at least 2 points"):
        squared_mmd(torch.eye(3), first(1, 2))
    with pytest.raises(ValueError, match="as many points"):
        sliced_wasserstein(torch.zeros(3, 1), first(1, 2), torch.ones(1, 1))


def line(x):
    return x[:, 0]


def test_energy_histogram_by_hand(make_view):
    data = torch.tensor([[0.0], [1.0]])
    view = make_view(
        line,
        data,
        held_out=torch.tensor([[1.0], [2.0]]),
        draw=lambda n, k: torch.tensor([[3.0], [1.0], [1.0]]),
    )
    found = EnergyHistogram(n=4000)(view)
    assert found["data_mean"] == 0.5
    assert found["held_out_mean"] == 1.5
    assert found["samples_mean"] == pytest.approx(5 / 3)
    assert found["held_out_above"] == (3 + 0.5) / 4  # 1 > 0, 1 = 1, 2 > 0, 2 > 1
    assert found["samples_above"] == (2 + 2 * 0.5) / 6  # 3 > 1, 3 > 2; 1 = 1 twice
    # uniform on [0, 1], as the data's range; 4 standard errors
    assert found["uniform_mean"] == pytest.approx(0.5, abs=4 / math.sqrt(12 * 4000))
    assert found["uniform_above"] == 0.5  # over 0 always, over 1 never


def test_shares_of_gaussian_energies_are_the_closed_form(make_view):
    x = normal(1000, 1, 0)
    view = make_view(line, x, held_out=normal(1000, 1, 1), x_neg=normal(1000, 1, 2) + 1.0)
    found = EnergyHistogram()(view)
    # P(N(1, 1) > N(0, 1)) = Φ(1/√2); a Mann-Whitney share has at most variance 1/(4 min(n, m))
    expected = 0.5 * (1 + math.erf(0.5))
    assert found["samples_above"] == pytest.approx(expected, abs=4 / math.sqrt(4 * 1000))
    assert found["held_out_above"] == pytest.approx(0.5, abs=4 / math.sqrt(6 * 1000))


def test_the_reference_fills_the_box(make_view):
    data = torch.zeros(5, 2, 2)
    bounds = torch.stack([torch.full((2, 2), -1.0), torch.full((2, 2), 3.0)])
    x = uniform_over_box(make_view(None, data, bounds=bounds), 3000)
    assert x.shape == (3000, 2, 2)
    assert -1 <= x.min() < -0.99
    assert 2.99 < x.max() <= 3


def test_infinite_and_missing_energies_are_left_out(make_view, warned):
    def walled(x):
        return torch.where(x[:, 0] > 1, torch.inf, x[:, 0])

    data = torch.tensor([[0.0], [1.0]])
    bounds = torch.tensor([[0.0], [2.0]])
    found = EnergyHistogram()(make_view(walled, data, bounds=bounds))
    assert set(found) == {"data_mean", "uniform_above", "figure"}
    found = EnergyHistogram()(make_view(lambda x: line(x) * torch.nan, data))
    assert found == {}
    assert len(warned.about("not a number")) == 2


def test_histogram_is_drawn_with_what_lies_further_right(make_view):
    data = torch.linspace(0, 1, 50)[:, None]
    view = make_view(line, data, bounds=torch.tensor([[0.0], [100.0]]), x_neg=data + 0.5)
    (axes,) = EnergyHistogram(bins=20)(view)["figure"].axes
    labels = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert labels[:2] == ["data (50)", "samples (50)"]
    assert labels[2].startswith("uniform over the data's box (1,000, 9")
    assert labels[2].endswith("% further right)")
    areas = [(p.get_data().values * torch.tensor(p.get_data().edges).diff().numpy()).sum()
             for p in axes.patches]  # fmt: skip
    assert areas[:2] == pytest.approx([1.0, 1.0])
