"""Discrepancies of bits: by hand, and their null beside that of many samples of one law."""

import pytest
import torch
from ebmcore_monitors.discrete.mmd import MMD

from ebmcore import Binary, Categorical

P = torch.linspace(0.1, 0.9, 8)


def coins(n, seed, p=P):
    return (torch.rand(n, 8, generator=torch.Generator().manual_seed(seed)) < p).float()


def judge(make_view, x, y, space=None, **keys):
    view = make_view(
        lambda x: x.sum(1), x, held_out=x, space=space or Binary(), draw=lambda n, k: y[:n].clone()
    )
    return MMD(permutations=49, **keys)(view)


def test_the_numbers_are_those_of_their_formulas(make_view):
    x, y = coins(6, 0), coins(6, 1, 1 - P)
    found = judge(make_view, x, y, rate=0.3)
    pairs = [(a, b) for a in range(6) for b in range(6)]
    for name, factor, kernel in (
        ("linear", 1, lambda a, b: (a * b).sum()),
        ("linear", 2, lambda a, b: (a == b).sum()),  # as published
        ("hamming", 1, lambda a, b: (-0.3 * (a != b).sum()).exp()),
    ):
        within = [kernel(of[a], of[b]) for of in (x, y) for a, b in pairs if a != b]
        across = [kernel(x[a], y[b]) for a, b in pairs]
        expected = torch.stack(within).sum() / 30 - 2 * torch.stack(across).mean()
        assert factor * found[name] == pytest.approx(float(expected), abs=1e-6)


def test_the_null_is_the_spread_of_samples_of_one_law(make_view):
    """Of 60 pairs of samples; a spread of 60 has a standard error of 9 %."""
    rows = [judge(make_view, coins(150, s), coins(150, s + 500)) for s in range(60)]
    for name in ("linear", "hamming", "rbf"):
        values = torch.tensor([row[name] for row in rows])
        null = torch.tensor([row[f"{name}_null"] for row in rows])
        assert values.square().mean().sqrt() == pytest.approx(float(null.mean()), rel=0.45)
        assert abs(float(values.mean())) < 5 * float(values.std()) / 60**0.5
    assert min(row["hamming_p"] for row in rows) > 0.019  # 1 of 50 is the least there is


def test_another_law_is_seen(make_view):
    found = judge(make_view, coins(200, 0), coins(200, 1, 0.5 * P))
    for name in ("linear", "hamming", "rbf"):
        assert found[name] > 5 * found[f"{name}_null"]
        assert found[f"{name}_p"] == 0.02


def test_categories_are_compared_by_whether_they_differ(make_view):
    def tokens(seed):
        return torch.randint(4, (40, 5), generator=torch.Generator().manual_seed(seed))

    x, y = tokens(0), tokens(1)
    found = judge(make_view, x, y, Categorical(4), rate=0.2)
    differ = lambda a, b: (a[:, None] != b).sum(2)  # noqa: E731
    within = [(-0.2 * differ(of, of)).exp() for of in (x, y)]
    off = [(k.sum() - 40) / (40 * 39) for k in within]
    across = (-0.2 * differ(x, y)).exp().mean()
    assert found["hamming"] == pytest.approx(float(off[0] + off[1] - 2 * across), abs=1e-6)


def test_data_to_compare_with_are_needed(make_view):
    with pytest.raises(ValueError, match=r"at least 2 held-out points; this run has 1"):
        judge(make_view, coins(1, 0), coins(1, 1))
