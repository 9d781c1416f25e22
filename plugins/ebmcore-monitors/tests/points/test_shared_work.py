"""Monitors of one step evaluate a surface once, and follow one set of chains for R-hat."""

import pytest
from ebmcore_monitors.energy_histogram import EnergyHistogram
from ebmcore_monitors.histogram import Histogram2d
from ebmcore_monitors.landscape import Landscape
from ebmcore_monitors.panels import Panels

import ebmcore


@pytest.fixture
def step(make_view, mixture):
    """Return the view of a step, and lists of the points evaluated and of the chains traced."""
    made, evaluated, traced = {}, [], []

    def energy(x):
        evaluated.append(len(x))
        return mixture(x)

    def walk(n, n_steps, thin):
        traced.append(n)
        return ebmcore.Trace(mixture.draw(n_steps // thin * n).reshape(-1, n, 2), None)

    def once(key, make):
        if key not in made:
            made[key] = make(view)
        return made[key]

    x = mixture.draw(400)
    view = make_view(
        energy, x, held_out=x, draw=lambda n, n_steps: mixture.draw(n), walk=walk, maker=once
    )
    return view, evaluated, traced


def test_equal_boxes_are_evaluated_once(step):
    view, evaluated, _ = step
    for monitor in (Landscape(points=50), Panels(points=50), Panels(points=50, clip=1.0)):
        assert "figure" in monitor(view)
    assert sum(evaluated) == 50**2 + 400
    Panels(points=60)(view)
    Panels(points=60, margin=0.5)(view)
    assert sum(evaluated) == 50**2 + 2 * 60**2 + 3 * 400


def test_chains_of_equal_steps_are_followed_once(step):
    view, _, traced = step
    histogram, energies = Histogram2d(n=50)(view), EnergyHistogram(n=50)(view)
    assert histogram["rhat"] == energies["samples_rhat"]
    assert traced == [64]
    Histogram2d(n=50, n_steps=200)(view)
    assert traced == [64, 64]
