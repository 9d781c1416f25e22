import math

import pytest
import torch
from ebmcore_monitors.energies import Energies
from ebmcore_monitors.exact_likelihood import ExactLikelihood
from ebmcore_monitors.figures.mosaic import tile
from ebmcore_monitors.histogram import Histogram2d
from ebmcore_monitors.landscape import Landscape
from ebmcore_monitors.panels import Panels
from ebmcore_monitors.samples import Samples, kind_of


def offsets(axes):
    return {
        c.get_label(): len(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1
    }


@pytest.fixture
def view(make_view, mixture):
    def draw(n, n_steps):
        return mixture.draw(n, 7)

    return make_view(mixture, mixture.draw(2000), draw=draw, step=40, epoch=2.0)


def test_energies_by_hand(make_view):
    x = torch.tensor([[1.0], [3.0]])
    view = make_view(lambda x: x[:, 0], x, held_out=x[:1] * 5, x_neg=torch.tensor([[4.0], [6.0]]))
    assert Energies()(view) == pytest.approx(
        {
            "data_mean": 2.0,
            "data_sd": math.sqrt(2),
            "held_out_mean": 5.0,
            "samples_mean": 5.0,
            "samples_sd": math.sqrt(2),
            "gap": -3.0,
        }
    )


def test_energies_leave_out_what_is_not_known(view):
    assert set(Energies(n=10)(view)) == {"data_mean", "data_sd"}


@pytest.mark.parametrize(
    "monitor",
    [Energies(n=50), ExactLikelihood(points=51), Landscape(), Panels(), Histogram2d(), Samples()],
    ids=lambda monitor: type(monitor).__name__,
)
def test_a_monitor_only_looks(view, mixture, monitor):
    mixture.train()
    data, state = view.data.clone(), torch.get_rng_state()
    monitor(view)
    assert torch.equal(view.data, data)
    assert torch.equal(torch.get_rng_state(), state)
    assert mixture.training
    assert mixture.centres.grad is None
    assert mixture.centres.requires_grad


def test_landscape_shows_wells_data_and_samples(view, mixture):
    figure = Landscape(n=100, clip=5.0)(view)["figure"]
    axes, scale = figure.axes
    assert scale.get_ylabel() == "energy (nats)"
    assert offsets(axes) == {"data": 100, "samples": 100}
    assert "step 40, epoch 2" in figure.get_suptitle()
    levels = axes.collections[0].levels
    of_data = mixture(view.data).detach().double()
    assert levels[-1] == pytest.approx(torch.quantile(of_data, 0.99).item() + 5, abs=0.05)
    deepest = mixture(mixture.centres.detach()).min().item()
    assert levels[0] == pytest.approx(deepest, abs=0.1)
    darkest, lightest = axes.collections[0].cmap(0.0), axes.collections[0].cmap(1.0)
    assert sum(darkest) < sum(lightest)
    assert min(scale.get_yticks()) >= levels[0]
    assert max(scale.get_yticks()) <= levels[-1]


def test_landscape_of_a_grown_energy_is_still_drawn(make_view, mixture):
    def walled(x):
        return torch.where(x.norm(dim=1) > 3.5, torch.inf, mixture(x))

    figure = Landscape()(make_view(walled, mixture.draw(500)))["figure"]
    assert offsets(figure.axes[0]) == {"data": 500}


def test_landscape_needs_a_finite_energy(make_view, mixture):
    with pytest.raises(ValueError, match="not a finite number"):
        Landscape()(make_view(lambda x: x.sum(1) * torch.nan, mixture.draw(50)))


def test_panels_share_axes_and_show_as_many_samples_as_data(view):
    left, middle, right, scale = Panels(n=300)(view)["figure"].axes
    assert offsets(left) == {"data": 300}
    assert offsets(middle) == {"samples": 300}
    assert left.get_xlim() == middle.get_xlim() == right.get_xlim()
    assert left.get_ylim() == middle.get_ylim() == right.get_ylim()
    assert scale.get_ylabel() == "energy (nats)"


def test_panels_say_why_there_are_no_samples(make_view, mixture):
    middle = Panels()(make_view(mixture, mixture.draw(100)))["figure"].axes[1]
    assert "no sampler" in " ".join(middle.texts[0].get_text().split())
    assert offsets(middle) == {}


def test_histograms_share_bins_and_scale(view):
    found = Histogram2d(n=500, bins=20)(view)
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
    view = make_view(None, corner, draw=lambda n, k: corner)
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
        view = make_view(None, data, draw=lambda n, k, samples=samples: samples)
        assert Histogram2d(bins=2)(view)["total_variation"] == pytest.approx(expected)


def test_monitors_that_only_draw_samples_need_a_sampler(make_view, mixture):
    for monitor in (Samples(), Histogram2d()):
        with pytest.raises(ValueError, match="no sampler"):
            monitor(make_view(mixture, mixture.draw(10)))


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


def test_tile_puts_each_image_in_its_place():
    images = torch.arange(5.0)[:, None, None, None].expand(5, 1, 2, 3)
    whole = tile(images)[..., 0]
    assert whole.shape == (5, 11)
    assert whole[0, [0, 4, 8]].tolist() == [0, 1, 2]
    assert whole[3, [0, 4]].tolist() == [3, 4]
    assert whole[2].isnan().all()
    assert whole[3:, 7:].isnan().all()


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
