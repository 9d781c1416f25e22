"""Labels in the monitors: each point at its own, samples with labels that were drawn first."""

import math

import pytest
import torch
from ebmcore_monitors.energies import Energies
from ebmcore_monitors.energy_histogram import EnergyHistogram
from ebmcore_monitors.exact_likelihood import ExactLikelihood
from ebmcore_monitors.likelihood.labels import over_labels
from ebmcore_monitors.points.grid import box_around
from ebmcore_monitors.points.labels import energies_at, labelled_subset
from ebmcore_monitors.sampler_health import SamplerHealth
from torch import nn

from ebmcore import Binary, Trace

CENTRES = torch.tensor([[0.0, 0.0], [5.0, 1.0]])
SHARES = torch.tensor([0.75, 0.25])
CONSTANTS = torch.tensor([3.0, -40.0])  # which no label's density depends on


class OfClass(nn.Module):
    """N(c[y], I) of each label, its constant moved."""

    def forward(self, x, y):
        return 0.5 * (x - CENTRES[y]).square().sum(1) + CONSTANTS[y]


class Mixture:
    def log_prob(self, x):
        squares = (x[:, None] - CENTRES.to(x)).square().sum(2)
        return (SHARES.to(x).log() - 0.5 * squares).logsumexp(1) - math.log(2 * math.pi)


@pytest.fixture
def labelled(make_view):
    """A run of a conditional energy at the truth, three of four points of label 0."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(800) % 4 // 3

    def at(y):
        return CENTRES[y] + torch.randn(len(y), 2, generator=generator)

    return make_view(
        OfClass(), at(y), data_y=y, held_out=at(y[:400]), held_out_y=y[:400],
        x_neg=at(y[:64]), y_neg=y[:64], dataset=Mixture(),
        draw=lambda n, steps, y: at(y),
        walk=lambda n, steps, thin, y: Trace(torch.stack([at(y) for _ in range(40)]), None),
    )  # fmt: skip


def test_a_subset_keeps_each_points_label(labelled):
    x, y = labelled_subset(labelled, labelled.data, labelled.data_y, 50)
    expected = OfClass()(x, y).double()
    torch.testing.assert_close(energies_at(labelled, x, y), expected)
    of_all = energies_at(labelled, labelled.data.repeat(9, 1), labelled.data_y.repeat(9))
    torch.testing.assert_close(of_all, OfClass()(labelled.data, labelled.data_y).double().repeat(9))
    near = (labelled.data - CENTRES[labelled.data_y]).square().sum(1)
    assert near.mean() < 3  # so a wrong label would show


def test_the_likelihood_is_that_of_all_labels_together(labelled):
    found = ExactLikelihood()(labelled)
    assert found["kl"] == pytest.approx(0, abs=1e-5)
    expected = -Mixture().log_prob(labelled.held_out).mean().item()
    assert found["nll"] == pytest.approx(expected, abs=1e-4)


ODDS = torch.tensor([[1.0, -2.0, 0.5], [-1.0, 0.0, 3.0]])  # log odds of three bits by label


class OfBits(nn.Module):
    """Independent bits of each label, its constant moved."""

    def forward(self, x, y):
        return CONSTANTS[y] - (x * ODDS.to(x)[y]).sum(1)


class Bits:
    def log_prob(self, x):
        each = (x[:, None] * ODDS.to(x) - torch.nn.functional.softplus(ODDS.to(x))).sum(2)
        return (SHARES.to(x).log() + each).logsumexp(1)


def test_bits_of_all_labels_are_added_up(make_view):
    x = Binary().sample((40, 3), torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(40) % 4 // 3
    view = make_view(OfBits(), x, data_y=labels, held_out=x[:8], held_out_y=labels[:8],
                     space=Binary(), dataset=Bits())  # fmt: skip
    found = ExactLikelihood()(view)
    assert found["kl"] == pytest.approx(0, abs=1e-9)
    assert found["nll"] == pytest.approx(-float(Bits().log_prob(x[:8]).mean()))


class Thin(nn.Module):
    """The normal density, and for label 1 half of its mass in a spike at (0.3, 0.2)."""

    def forward(self, x, y):
        normal = -0.5 * x.square().sum(1) - math.log(2 * math.pi)
        spike = -0.5 * ((x - torch.tensor([0.3, 0.2])) / 1e-3).square().sum(1)
        spike = spike - math.log(2 * math.pi * 1e-6)
        return -torch.logaddexp(normal, spike + torch.where(torch.as_tensor(y) == 1, 0.0, -1e9))


def test_each_labels_log_z_is_refined_and_its_error_counts(make_view, warned):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 2, generator=generator, dtype=torch.float64)
    x[0] = torch.tensor([0.3, 0.2])
    view = make_view(Thin(), x, data_y=torch.arange(400) % 4 // 3, held_out=x[1:100])
    found = ExactLikelihood(points=81)(view)
    marginal = over_labels(view, box_around(x, 0.5), 81, x).energy
    expected = torch.tensor([0.75, 0.125], dtype=torch.float64).log()  # 1/4 over log Z of log 2
    off = (marginal.log_weights - expected).abs()
    assert float(off.max()) <= marginal.log_z_error < 2e-3
    assert abs(found["log_z"]) <= found["log_z_error"] < 4e-3
    assert found["log_z_error"] > marginal.log_z_error
    assert warned == []


def test_samples_have_the_energies_of_their_own_labels(labelled):
    energies = Energies()(labelled)
    shift = float((SHARES * CONSTANTS).sum())
    for name in ("data_mean", "held_out_mean", "samples_mean"):
        assert energies[name] == pytest.approx(shift + 1, abs=0.5)  # χ² of 2 over 2
    histogram = EnergyHistogram(n=400)(labelled)
    assert histogram["samples_mean"] == pytest.approx(shift + 1, abs=6)  # of 400 drawn labels
    assert abs(histogram["samples_above"] - 0.5) < 0.1
    health = SamplerHealth(n_chains=64, n_steps=40, thin=1)(labelled)
    assert abs(health["d_s"]) < 1
    assert health["score_norm"] == pytest.approx(math.sqrt(math.pi / 2), abs=0.1)
