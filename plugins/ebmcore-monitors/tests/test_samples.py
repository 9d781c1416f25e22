from dataclasses import replace

import pytest
import torch
from ebmcore_monitors.samples import Samples, kind_of

from ebmcore import Binary, Categorical, Real, Transform, Transforms


class Scaling(Transform):
    """x' = x / 100."""

    def __call__(self, x):
        return x / 100

    def inverse(self, x):
        return x * 100


def offsets(axes):
    return {
        c.get_label(): len(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1
    }


@pytest.mark.parametrize(
    ("shape", "display", "kind"),
    [
        ((2,), "auto", "points"),
        ((2,), "sequences", "sequences"),
        ((1,), "auto", "table"),
        ((2,), "table", "table"),
        ((64,), "auto", "table"),
        ((64,), "sequences", "sequences"),
        ((64, 1), "auto", "sequences"),
        ((64, 2), "sequences", "sequences"),
        ((8, 8), "auto", "images"),
        ((64, 1), "images", "images"),
        ((1, 28, 28), "auto", "images"),
        ((3, 8, 8), "images", "images"),
    ],
)
def test_kind_of_event(shape, display, kind):
    assert kind_of(shape, display) == kind


@pytest.mark.parametrize(
    ("shape", "display"), [((2,), "images"), ((1, 8, 8), "sequences"), ((8, 8), "table")]
)
def test_kind_that_does_not_fit_is_refused(shape, display):
    with pytest.raises(ValueError, match=f"display: {display}"):
        kind_of(shape, display)


def test_flat_events_of_categories_or_with_a_mask_are_sequences():
    assert kind_of((8,), "auto", Categorical(3)) == "sequences"
    assert kind_of((8,), "auto", masked=True) == "sequences"
    assert kind_of((8,), "auto", Binary()) == "table"


def test_images_have_one_scale_that_is_the_data_range(make_view):
    images = torch.rand(100, 8, 8, generator=torch.Generator().manual_seed(0))
    bounds = torch.stack([torch.zeros(8, 8), torch.full((8, 8), 2.0)])
    view = make_view(None, images, bounds=bounds, draw=lambda n, k: 9 * images[:n])
    data, samples = (axes.images[0] for axes in Samples(n=9)(view)["figure"].axes)
    assert data.get_clim() == samples.get_clim() == (0.0, 2.0)
    assert data.get_cmap().name == "gray"
    assert samples.get_interpolation() == "nearest"
    assert samples.get_array().shape == (26, 26)


def test_colour_images_and_no_companion(make_view):
    images = torch.rand(20, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    view = make_view(None, images, draw=lambda n, k: images[:n])
    (axes,) = Samples(n=4, data=False)(view)["figure"].axes
    assert axes.images[0].get_array().shape == (9, 9, 3)
    low, high = images.min(), images.max()
    assert axes.images[0].get_array()[0, 0].tolist() == pytest.approx(
        ((images[0, :, 0, 0] - low) / (high - low)).tolist(), abs=1e-6
    )


def test_sequences_are_one_line_for_each_and_channel(make_view):
    waves = torch.sin(torch.linspace(0, 6, 30)).repeat(40, 1)[..., None].repeat(1, 1, 2)
    view = make_view(None, waves, draw=lambda n, k: waves[:n])
    data, samples = Samples(n=7, display="sequences")(view)["figure"].axes
    for axes in (data, samples):
        first, second, _ = axes.collections
        assert len(first.get_segments()) == len(second.get_segments()) == 7
        heights = first.get_segments()[0][:, 1]
        assert heights.min() == pytest.approx(0, abs=1e-6)
        assert heights.max() == pytest.approx(0.88, abs=1e-6)
    assert data.get_ylim() == samples.get_ylim()


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def test_a_table_has_three_pictures_in_its_own_units(make_view):
    g = torch.Generator().manual_seed(0)
    rows = torch.randn(60, 3, generator=g) * torch.tensor([1.0, 10.0, 100.0]) + 1000
    scaling = Transforms([Scaling()])
    scaling.fit(rows, Real())
    view = make_view(
        None,
        scaling(rows),
        held_out=scaling(rows[:20]),
        columns=("age", "a" * 40, "c"),
        transforms=scaling,
        draw=lambda n, k: scaling(rows).repeat(20, 1)[:n],
    )
    found = Samples()(view)
    assert list(found) == ["marginals", "pairs", "pca"]
    assert titles(found["marginals"]) == [
        "age · KS 0.00",
        f"{'a' * 21}… · KS 0.00",
        "c · KS 0.00",
    ]
    low, high = found["marginals"].axes[2].get_xlim()
    assert low == pytest.approx(float(rows[:, 2].quantile(0.005)), abs=100)
    assert high == pytest.approx(float(rows[:, 2].quantile(0.995)), abs=100)
    (legend,) = found["marginals"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["data (60)", "samples (1,000)"]
    assert titles(found["pca"]) == [
        "data (60)",
        "held-out data (20), data in grey",
        "samples (60), data in grey",
    ]
    assert len(found["pairs"].axes) == 9
    assert list(Samples()(replace(view, space=Binary()))) == ["marginals", "pca"]


def test_a_column_alone_has_its_histogram(make_view):
    x = torch.arange(50.0)[:, None]
    assert list(Samples()(make_view(None, x, draw=lambda n, k: x))) == ["marginals"]


def test_points_of_a_plane_are_scattered_over_the_same_axes(view):
    data, samples = Samples(n=25)(view)["figure"].axes
    assert [sum(offsets(axes).values()) for axes in (data, samples)] == [25, 25]
    assert data.get_xlim() == samples.get_xlim()
