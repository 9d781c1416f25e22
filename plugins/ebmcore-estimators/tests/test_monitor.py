import math
from types import SimpleNamespace

import pytest
import torch
from ebmcore_estimators import LogZMonitor
from torch import nn

from ebmcore import Binary, RunView


class Energy(nn.Module):
    """A fixed function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Labelled(nn.Module):
    """An energy of labels."""

    def forward(self, x, y):
        return x.square().sum(1) + y


def view_of(energy, data, **more):
    warned = []
    held_out = more.pop("held_out", data[:50])
    view = RunView(
        energy=energy,
        data=data,
        held_out=held_out,
        generator=torch.Generator().manual_seed(1),
        warn=warned.append,
        **more,
    )
    return view, warned


@pytest.fixture
def mixed(known, seeded):
    return Energy(known.mixture).eval(), known.draw_mixture(400, seeded)


def test_log_z_and_nll_in_the_plane(known, mixed):
    view, warned = view_of(*mixed)
    found = LogZMonitor(n=512, small=True)(view)
    assert set(found) == set(LogZMonitor.metrics)
    assert abs(found["log_z_estimate"] - known.of_mixture) < 4.5 * found["log_z_error"]
    assert found["log_z_low"] < known.of_mixture < found["log_z_high"]
    mean = float(mixed[0](view.held_out).mean())
    for end, log_z in (("estimate", "estimate"), ("low", "low"), ("high", "high")):
        assert found[f"nll_{end}"] == pytest.approx(mean + found[f"log_z_{log_z}"])
    assert not warned


def test_transforms_are_counted(mixed):
    log_det = torch.full((50,), 0.7).double()
    plain, _ = view_of(*mixed)
    counted, _ = view_of(*mixed, transforms=SimpleNamespace(), held_out_log_det=log_det)
    a, b = (LogZMonitor(n=32, steps=5, small=True)(view) for view in (plain, counted))
    assert a["nll_estimate"] - b["nll_estimate"] == pytest.approx(0.7)
    unknown, warned = view_of(*mixed, transforms=SimpleNamespace(without_log_det="flip"))
    assert "nll_estimate" not in LogZMonitor(n=32, steps=5, small=True)(unknown)
    assert any("transform 'flip' has no log |det|" in text for text in warned)


def test_bits_begin_at_their_uniform_law(seeded):
    couple = torch.randn(6, generator=seeded)
    energy = Energy(lambda x: x @ couple).eval()
    data = Binary().sample((100, 6), seeded)
    view, _ = view_of(energy, data, space=Binary(), held_out=data[:0])
    found = LogZMonitor(n=256, small=True)(view)
    true = float((1 + (-couple).exp()).log().sum())
    assert abs(found["log_z_estimate"] - true) < 4.5 * found["log_z_error"] + 1e-6
    assert "nll_estimate" not in found


def test_it_leaves_small_events_to_the_exact_monitor():
    for shape, space in (((2,), {}), ((20,), {"space": Binary()})):
        with pytest.raises(ValueError, match=r"exact_likelihood computes log Z of .* exactly"):
            LogZMonitor().check(shape, **space)
        LogZMonitor(small=True).check(shape, **space)
    LogZMonitor().check((4,))
    LogZMonitor().check((21,), Binary())
    with pytest.raises(ValueError, match="an event of 300 numbers is larger than `most`, 256"):
        LogZMonitor().check((300,))


def test_it_warns_of_numbers_that_cannot_be_relied_on(mixed):
    energy, data = mixed
    few, warned = view_of(energy, data, kernel=SimpleNamespace(implied_temperature=0.5))
    LogZMonitor(n=32, steps=1, small=True)(few)
    assert "ran at temperature 0.5" in warned[0]
    assert "walkers' starts count" in warned[1]
    with pytest.raises(ValueError, match="requires labels, and each has a log Z of its own"):
        LogZMonitor(small=True).check((2,), energy=Labelled())
    lengths, warned = view_of(energy, data, data_mask=torch.ones(400, 2).bool())
    assert LogZMonitor(small=True)(lengths) == {}
    assert "several lengths" in warned[0]
    endless, warned = view_of(Energy(lambda x: x.sum(1) * math.nan), data)
    assert LogZMonitor(small=True)(endless) == {}
    assert "log Z can't be estimated: of 256 draws" in warned[0]
