"""Monitors of sequences of different length look at the steps that count, and no others."""

import pytest
import torch
from ebmcore_monitors.energy_histogram import EnergyHistogram
from ebmcore_monitors.points.labels import masks_for
from ebmcore_monitors.sampler_health import SamplerHealth
from ebmcore_monitors.samples import Samples
from ebmcore_monitors.two_sample import TwoSample

from ebmcore import Real, RunView, Trace

T = 6


def energy(x, mask=None):
    """N(length, 1) at each step that counts."""
    mask = torch.ones_like(x) if mask is None else mask
    length = mask.sum(1, keepdim=True)
    return 0.5 * ((x - length).square() * mask).sum(1)


def draw(n, n_steps=0, mask=None, generator=None):
    assert mask is not None
    length = mask.sum(1, keepdim=True)
    return (length + torch.randn(n, T, generator=generator)).where(mask, 0)


def masks(n):
    return torch.arange(T) < torch.arange(n)[:, None] % T + 1


def view(padding=0.0, **options):
    own, generator = torch.Generator().manual_seed(1), torch.Generator().manual_seed(3)
    data, held_out = (draw(n, mask=masks(n), generator=own) for n in (600, 300))
    return RunView(**{
        "energy": energy, "data": data.where(masks(600), padding), "data_mask": masks(600),
        "held_out": held_out.where(masks(300), padding), "held_out_mask": masks(300),
        "x_neg": data[:60] + 9.0 * ~masks(60), "mask_neg": masks(60),
        "bounds": torch.tensor([[-3.0], [9.0]]).expand(2, T), "generator": own,
        "draw": lambda n, k, mask: draw(n, mask=mask, generator=generator),
        "walk": lambda n, k, thin, mask: Trace(
            torch.stack([draw(n, mask=mask, generator=generator) for _ in range(k // thin)]), None
        ),
        "warn": pytest.fail, **options,
    })  # fmt: skip


def test_masks_are_drawn_as_the_data_have_them():
    drawn = masks_for(view(), 4000)
    assert torch.equal(drawn, torch.arange(T) < drawn.sum(1, keepdim=True))
    shares = torch.bincount(drawn.sum(1), minlength=T + 1)[1:] / 4000
    assert (shares - 1 / T).abs().max() < 5 * (1 / T / 4000) ** 0.5
    assert masks_for(view(energy=lambda x: energy(x)), 4) is None
    assert masks_for(view(data_mask=None), 4) is None


def test_energies_are_those_of_the_steps_that_count():
    found, changed = EnergyHistogram(n=300)(view()), EnergyHistogram(n=300)(view(7e3))
    found.pop("figure"), changed.pop("figure")
    assert found == changed
    assert found["data_mean"] == pytest.approx(T / 4 + 1 / 4, abs=0.3)  # χ² of 1 to T numbers
    assert abs(found["samples_above"] - 0.5) < 5 * (1 / 12 / 300 * 2) ** 0.5
    assert found["uniform_above"] > 0.8
    assert found["samples_mixed"] == 1
    last = EnergyHistogram(n=300)(view(draw=None))
    assert last["samples_mean"] == pytest.approx(T / 4 + 1 / 4, abs=1)


def test_samples_are_compared_at_their_lengths():
    good = TwoSample(n=60, permutations=99)(view())
    assert min(good["mmd_p"], good["sliced_wasserstein_p"]) > 0.01
    wrong = view(draw=lambda n, k, mask: torch.randn(n, T).where(mask, 0))
    assert TwoSample(n=60, permutations=99)(wrong)["mmd_p"] <= 0.01


def test_chains_are_judged_at_their_lengths():
    found = SamplerHealth(n_chains=24, n_steps=100, coordinates=0, long_run=10)(view())
    assert found["rhat_energy"] < 1.1
    assert abs(found["long_run_errors"]) < 5
    assert abs(found["d_s"]) < 1


def test_only_steps_that_count_are_drawn():
    seen = view(transforms=Shift())
    data, samples = Samples(n=12)(seen)["figure"].axes
    for axes in (data, samples):
        curves = axes.collections[0].get_segments()
        lengths = {len(curve) - int((curve[:, 1] != curve[:, 1]).sum()) for curve in curves}
        assert len(curves) == 12
        assert lengths <= set(range(1, T + 1))
        assert len(lengths) > 1


class Shift:
    """Takes events back to units in which padding would be 5."""

    spaces = (Real(), Real())

    def inverse(self, x, *, mask):
        return (x + 5).where(mask, 0)
