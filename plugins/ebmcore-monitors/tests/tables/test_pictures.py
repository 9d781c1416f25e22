"""The pictures of a wide table, drawn."""

import io

import pytest
import torch
from ebmcore_monitors.tables.columns import Table
from ebmcore_monitors.tables.components import plot_components
from ebmcore_monitors.tables.marginals import plot_marginals
from ebmcore_monitors.tables.pairs import plot_pairs


@pytest.fixture
def view(make_view):
    return make_view(None, torch.zeros(1, 1))


@pytest.fixture
def wide():
    """Twenty columns, of which column 7 of the samples is off and column 3 is a little."""
    g = torch.Generator().manual_seed(0)
    data, samples = (torch.randn(n, 20, generator=g, dtype=torch.float64) for n in (300, 200))
    samples[:, 7] += 30
    samples[:, 3] += 1
    data[:, 11] = data[:, 2]
    names = tuple(f"c$_{i}" for i in range(20))
    return Table(names, data, data[:0], samples, 4)


def test_the_columns_that_differ_most_come_first(view, wide):
    figure = plot_marginals(view, wide)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 16
    assert titles[0] == r"c\$_7 · KS 1.00"
    assert titles[1].startswith(r"c\$_3 · KS 0.")
    assert [text.get_text() for text in figure.axes[0].texts] == ["100% of\nsamples outside"]
    assert not figure.axes[1].texts
    assert "16 of 20 columns" in figure.get_suptitle()
    assert figure.legends[0].get_texts()[1].get_text() == "samples (200, 4 more not finite)"
    figure.savefig(io.BytesIO())


def test_data_are_below_the_diagonal_and_samples_above(view, wide):
    figure = plot_pairs(view, wide)
    panels = [axes for axes in figure.axes if axes.collections]
    assert len(figure.axes) == 16
    assert len(panels) == 12
    names = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert {r"c\$_2", r"c\$_11"} < set(names)
    below, above = figure.axes[4].collections[0], figure.axes[1].collections[0]
    assert len(below.get_offsets()) == len(above.get_offsets()) == 200
    assert below.get_facecolor().tolist() != above.get_facecolor().tolist()
    figure.savefig(io.BytesIO())


def test_samples_outside_of_the_components_are_counted(view, wide):
    wide.samples[:, 2] += 1000
    figure = plot_components(view, wide)
    assert [axes.get_title() for axes in figure.axes] == [
        "data (300)",
        "samples (200, 100.0% outside), data in grey",
    ]
    figure.savefig(io.BytesIO())
