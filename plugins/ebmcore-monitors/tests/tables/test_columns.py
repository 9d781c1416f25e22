import pytest
import torch
from ebmcore_monitors.tables.columns import (
    column_names,
    edges_of,
    ks_distances,
    most_correlated,
    table_of,
)
from scipy.stats import ks_2samp


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_ks_is_that_of_scipy():
    x = torch.randn(80, 3, generator=seeded(0), dtype=torch.float64).round(decimals=1)
    y = (0.5 + 2 * torch.randn(130, 3, generator=seeded(1), dtype=torch.float64)).round(decimals=1)
    expected = [ks_2samp(x[:, i].numpy(), y[:, i].numpy()).statistic for i in range(3)]
    assert ks_distances(x, y).tolist() == pytest.approx(expected, abs=1e-12)
    assert ks_distances(x, x).tolist() == [0, 0, 0]


def test_columns_that_correlate_are_chosen():
    z = torch.randn(200, 6, generator=seeded(0), dtype=torch.float64)
    z[:, 4] = -z[:, 1] + 0.1 * z[:, 4]
    z[:, 2] = z[:, 4] + z[:, 2]
    z[:, 0] = 3.0
    assert most_correlated(z, 2) == [1, 4]
    assert most_correlated(z, 3) == [1, 2, 4]
    assert most_correlated(z[:, :2], 4) == [0, 1]
    assert len(most_correlated(torch.ones(5, 6), 4)) == 4


@pytest.mark.parametrize(
    ("column", "edges"),
    [
        ([7.0, 7.0], [6.5, 7.5]),
        ([0.0, 1.0, 1.0], [-0.5, 0.5, 1.5]),
        ([0.0, 1.0, 3.0], [-0.5, 0.5, 2.0, 4.0]),
    ],
)
def test_few_values_have_a_bar_each(column, edges):
    assert edges_of(torch.tensor(column), 30).tolist() == edges


def test_edges_hold_the_bulk_of_a_column():
    x = torch.arange(1001.0)
    x[-1] = 1e9
    edges = edges_of(x, 30)
    assert len(edges) == 31
    assert edges[0] < 5 < 995 < edges[-1] < 2000
    flags = torch.zeros(1001)
    flags[:20] = 1 + torch.arange(20) / 1e3
    assert edges_of(flags, 30)[-1] > 1
    x = torch.zeros(10_000)
    x[:20] = 1 + torch.arange(20) / 1e3
    assert edges_of(x, 30)[-1] > 1  # both quantiles are 0


def test_names_are_the_datasets_or_else_the_views(make_view):
    class Named:
        columns = ("a", "b", "c")

    x = torch.zeros(4, 3)
    assert column_names(make_view(None, x, dataset=Named(), columns=("d", "e", "f")), 3) == (
        "a",
        "b",
        "c",
    )
    assert column_names(make_view(None, x, columns=("d", "e", "f")), 3) == ("d", "e", "f")
    assert column_names(make_view(None, x, dataset=Named()), 2) == ("x0", "x1")


def test_samples_that_are_not_finite_are_counted(make_view):
    x = torch.randn(8, 3, generator=seeded(0))
    view = make_view(None, x, held_out=x[:2])
    bad = x.clone()
    bad[1, 2], bad[3, 0] = torch.nan, torch.inf
    found = table_of(view, bad, 5)
    assert (len(found.data), len(found.held_out), len(found.samples), found.lost) == (5, 2, 6, 2)
    with pytest.raises(ValueError, match="no sample is finite"):
        table_of(view, torch.full((4, 3), torch.nan), 5)
