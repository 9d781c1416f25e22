import math

import pytest
import torch
from ebmcore_monitors.statistics import permutation
from ebmcore_monitors.statistics.mmd import gaussian_kernel, squared_mmd
from ebmcore_monitors.statistics.sliced_wasserstein import directions, sliced_wasserstein


def test_p_values_by_hand():
    labels = torch.zeros(5, 2, dtype=torch.bool)
    values = torch.tensor([2.0, 1.0, 2.0, 3.0, 0.0])
    tested = permutation.test(lambda rows: values, labels)
    assert tested == (2.0, (1 + 2) / 5)


def test_relabellings_keep_the_sizes_and_begin_with_the_truth(seeded):
    labels = permutation.relabellings(3, 7, 4000, seeded(0))
    assert labels[0].tolist() == [True] * 3 + [False] * 7
    assert (labels.sum(1) == 3).all()
    # each point is of x with probability 3/10; 4.5 standard errors over 10 points: once in 15,000
    share = labels[1:].double().mean(0)
    assert (share - 0.3).abs().max() < 4.5 * math.sqrt(0.3 * 0.7 / 4000)


@pytest.mark.parametrize("name", ["mmd", "sliced_wasserstein"])
def test_p_values_are_uniform_for_one_density(name, seeded):
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
