"""Subsets of row numbers: uniform, none twice, at a cost of the subset alone."""

import itertools
from collections import Counter

import pytest
import torch
from ebmcore_chains import Persistent, subset
from ebmcore_chains.subset import PERMUTED, distinct, floyd

CPU = torch.device("cpu")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("n", "count", "each"), [(6, 4, 24), (5, 5, 120), (7, 1, 1), (6, 3, 6)])
def test_all_draws_choose_each_subset_equally_often(n, count, each):
    draws = itertools.product(*(range(n - count + k + 1) for k in range(count)))
    found = Counter(tuple(sorted(floyd(n, torch.tensor(t)).tolist())) for t in draws)
    assert found == dict.fromkeys(itertools.combinations(range(n), count), each)


def test_a_large_subset_holds_none_twice_and_each_as_often():
    n, count = PERMUTED + 1, 60_000
    chosen = torch.stack([distinct(n, count, seeded(seed), CPU) for seed in range(6)])
    for one in chosen:
        assert len(one.unique()) == count
    assert (chosen.min(), chosen.max()) == (0, n - 1)
    share = 6 * count / n  # of draws: mean and variance are a binomial's
    often = chosen.flatten().bincount(minlength=n).double()
    assert abs(often.var() / (share * (1 - count / n)) - 1) < 5 * (2 / n) ** 0.5
    for axis in (0, 1):  # neither a place nor a number leans to one side
        low = chosen[:, : count // 2] if axis else chosen
        middle = (n - 1) / 2
        stderr = n / (12 * low.numel()) ** 0.5
        assert abs(low.double().mean() - middle) < 5 * stderr


def test_rows_up_to_a_number_are_permuted_as_before():
    found = distinct(PERMUTED, 9, seeded(), CPU)
    assert torch.equal(found, torch.randperm(PERMUTED, generator=seeded())[:9])


def test_the_steps_of_a_large_buffer_draw_no_permutation(monkeypatch):
    chains, sizes = Persistent(PERMUTED + 1, init="normal"), []
    x = torch.zeros(8, 1)
    chains.start(x, seeded())
    permute = torch.randperm
    monkeypatch.setattr(subset.torch, "randperm", lambda n, **k: sizes.append(n) or permute(n, **k))
    slots = []
    for seed in range(2):
        begin = chains.start(x, seeded(seed))
        slots.append(chains.state_dict()["slots"])
        assert torch.equal(begin.x, chains.kept().x[slots[-1]])
    assert sizes == [8, 8]
    assert not torch.equal(*slots)
