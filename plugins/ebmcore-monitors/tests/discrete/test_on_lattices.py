"""Monitors of chains and of samples where events are bits or categories, or stand for points."""

from typing import NamedTuple

import pytest
import torch
from ebmcore_monitors.sampler_health import SamplerHealth
from ebmcore_monitors.samples import Samples

from ebmcore import Binary, Categorical, Kernel, Trace

CHAINS, STEPS = 200, 400


class State(NamedTuple):
    x: torch.Tensor


class Info(NamedTuple):
    changed: torch.Tensor


class Redrawn(Kernel):
    """Each chain's events are drawn anew with probability ¼, uniformly."""

    implied_temperature = 1.0


def walk(values, reports=True):
    """Return a function that makes a trace of such chains of three numbers."""

    def of(n, n_steps, thin):
        g = torch.Generator().manual_seed(0)
        x, rows, changed = torch.randint(values, (n, 3), generator=g), [], []
        for _ in range(n_steps):
            anew = torch.rand(n, 1, generator=g) < 0.25
            end = torch.where(anew, torch.randint(values, (n, 3), generator=g), x)
            changed.append((end != x).float().mean(1))
            rows.append(end)
            x = end
        info = Info(torch.stack(changed)[::thin]) if reports else None
        return Trace(torch.stack(rows)[::thin].to(x if values > 2 else torch.empty(0)), info)

    return of


@pytest.mark.parametrize("values", [2, 3])
def test_chains_on_a_lattice_have_a_flip_rate_and_a_time(make_view, values):
    """Autocorrelation ¾^t: the time is 1 + 2·¾/(1 - ¾) = 7 steps."""
    space = Binary() if values == 2 else Categorical(3)
    data = space.sample((50, 3), torch.Generator().manual_seed(1))
    view = make_view(lambda x: x.sum(1).float(), data, space=space, kernel=Redrawn(), n_steps=1,
                     draw=lambda n, k: data[:n], walk=walk(values))  # fmt: skip
    found = SamplerHealth(n_chains=CHAINS, n_steps=STEPS, thin=1)(view)
    assert found["flip_rate"] == pytest.approx(0.25 * (1 - 1 / values), rel=0.03)
    assert found["energy_time"] == pytest.approx(7, rel=0.1)
    assert found["implied_temperature"] == 1
    assert not {"score_norm", "r_s", "r_noise", "step_ratio"} & set(found)


def test_a_flip_rate_is_that_of_one_step(make_view):
    data = Binary().sample((50, 3), torch.Generator().manual_seed(1))
    view = make_view(lambda x: x.sum(1), data, space=Binary(), kernel=Redrawn(), n_steps=1,
                     draw=lambda n, k: data[:n], walk=walk(2, reports=False))  # fmt: skip
    one, two = (SamplerHealth(n_chains=CHAINS, thin=thin)(view) for thin in (1, 2))
    assert one["flip_rate"] == pytest.approx(0.125, rel=0.03)
    assert "flip_rate" not in two


class Coded:
    """Two bits that stand for a corner of a square."""

    def decode(self, x):
        return 2 * x - 1


def test_events_that_stand_for_points_are_shown_as_points(make_view):
    data = Binary().sample((300, 2), torch.Generator().manual_seed(1))
    asked = []

    def draw(n, n_steps):
        asked.append(n)
        return data[torch.arange(n) % 300]

    view = make_view(lambda x: x.sum(1), data, space=Binary(), dataset=Coded(), draw=draw)
    figure = Samples()(view)["figure"]
    assert asked == [1000]
    shown = [axes.collections[0].get_offsets() for axes in figure.axes]
    assert {tuple(point) for panel in shown for point in panel.tolist()} == {
        (a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)
    }
