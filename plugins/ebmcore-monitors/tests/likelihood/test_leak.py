"""Mass beyond the grid: the box that follows it, and the warning of a leak that lasts."""

import math

import pytest
import torch
from ebmcore_monitors.exact_likelihood import ExactLikelihood


def test_flat_energy_leaks_out_of_every_box(make_view, warned):
    x = torch.rand(500, 2, generator=torch.Generator().manual_seed(0))
    found = ExactLikelihood(points=51)(make_view(lambda x: 0 * x.sum(1), x))
    assert found["leak"] > 1e-3
    (message,) = warned
    assert "cuts mass off" in message
    assert "`margin`" in message


def test_a_leak_warns_once_and_only_if_it_lasts(make_view, warned):
    x = torch.rand(500, 1, generator=torch.Generator().manual_seed(0))
    monitor = ExactLikelihood(points=51)

    def look(slope, step, at_end=False):
        seen = len(warned)
        view = make_view(lambda x: slope * x.square().sum(1), x, step=step, at_end=at_end)
        assert (monitor(view)["leak"] > 1e-6) == (slope == 0)
        return len(warned) - seen

    assert [look(slope, step) for step, slope in enumerate((0, 50, 0, 0, 0))] == [0, 0, 0, 1, 0]
    assert look(0, 5, at_end=True) == 0  # told already
    assert [look(0, 0), look(50, 1), look(0, 2, at_end=True)] == [0, 0, 1]  # of another run


def test_box_is_widened_to_hold_a_model_broader_than_the_data(make_view, warned):
    x = torch.rand(500, 1, generator=torch.Generator().manual_seed(0)) - 0.5
    found = ExactLikelihood(margin=2.0)(make_view(lambda x: 0.5 * (x[:, 0] / 1.5) ** 2, x))
    assert found["log_z"] == pytest.approx(0.5 * math.log(2 * math.pi * 1.5**2), abs=1e-5)
    assert found["leak"] < 1e-6
    assert warned == []


def test_box_is_widened_to_hold_a_density_broader_than_the_data(make_view, new_mixture, warned):
    data = new_mixture(torch.zeros(1, 1), sd=1.0)
    model = new_mixture(torch.zeros(1, 1), sd=0.5)
    view = make_view(model, torch.linspace(-1.5, 1.5, 100)[:, None], dataset=data)
    found = ExactLikelihood()(view)
    assert found["mass"] == pytest.approx(1, abs=1e-6)
    assert found["kl"] == pytest.approx(0.5 * (4 - 1 - math.log(4)), abs=1e-4)
    assert warned == []
