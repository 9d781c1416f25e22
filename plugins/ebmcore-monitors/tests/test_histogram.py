import pytest
import torch
from ebmcore_monitors.histogram import Histogram2d


def test_histograms_share_bins_and_scale(view):
    found = Histogram2d(n=500, bins=20)(view)
    assert found["mixed"] == 1
    assert found["rhat"] < 1.05
    figure = found["figure"]
    left, right = (axes.images[0] for axes in figure.axes[:2])
    assert left.get_clim() == right.get_clim()
    assert left.get_extent() == right.get_extent()
    assert len(figure.axes) == 3
    low, high, bottom, top = left.get_extent()
    area = (high - low) * (top - bottom) / 400
    assert left.get_array().sum() * area == pytest.approx(1)
    assert right.get_clim()[1] == max(left.get_array().max(), right.get_array().max())


def test_histogram_has_x1_across_and_x2_up(make_view):
    corner = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.9, 0.1], [0.9, 0.1]])
    view = make_view(lambda x: x.sum(1), corner, draw=lambda n, k: corner)
    image = Histogram2d(bins=2)(view)["figure"].axes[0].images[0]
    assert image.origin == "lower"
    assert image.get_array().tolist() == [[1.0, 2.0], [0.0, 1.0]]


def test_total_variation_by_hand(make_view):
    data = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    for samples, expected in (
        (data, 0.0),
        (data[:1].repeat(4, 1), 0.5),
        (data + 9.0, 1.0),
        (torch.cat([data, data + 9.0]), 0.5),
    ):
        view = make_view(lambda x: x.sum(1), data, draw=lambda n, k, samples=samples: samples)
        assert Histogram2d(bins=2)(view)["total_variation"] == pytest.approx(expected)
