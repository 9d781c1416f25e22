import pytest
import torch
from ebmcore_monitors.samples import Samples, kind_of


def offsets(axes):
    return {
        c.get_label(): len(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1
    }


@pytest.mark.parametrize(
    ("shape", "display", "kind"),
    [
        ((2,), "auto", "points"),
        ((2,), "sequences", "sequences"),
        ((64,), "auto", "sequences"),
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


@pytest.mark.parametrize(("shape", "display"), [((2,), "images"), ((1, 8, 8), "sequences")])
def test_kind_that_does_not_fit_is_refused(shape, display):
    with pytest.raises(ValueError, match=f"display: {display}"):
        kind_of(shape, display)


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


def test_points_of_a_plane_are_scattered_over_the_same_axes(view):
    data, samples = Samples(n=25)(view)["figure"].axes
    assert [sum(offsets(axes).values()) for axes in (data, samples)] == [25, 25]
    assert data.get_xlim() == samples.get_xlim()
