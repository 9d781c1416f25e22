import pytest
import torch
from ebmcore_monitors.landscape import Landscape


def offsets(axes):
    return {
        c.get_label(): len(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1
    }


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


def test_landscape_of_a_large_energy_is_still_plotted(make_view, mixture):
    def walled(x):
        return torch.where(x.norm(dim=1) > 3.5, torch.inf, mixture(x))

    figure = Landscape()(make_view(walled, mixture.draw(500)))["figure"]
    assert offsets(figure.axes[0]) == {"data": 500}


def test_landscape_needs_a_finite_energy(make_view, mixture):
    with pytest.raises(ValueError, match="the energy is not finite"):
        Landscape()(make_view(lambda x: x.sum(1) * torch.nan, mixture.draw(50)))
