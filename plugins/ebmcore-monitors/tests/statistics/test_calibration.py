"""Accuracy, NLL and ECE by hand, and what is refused."""

import math

import pytest
import torch
from ebmcore_monitors.classification import Classification
from ebmcore_monitors.statistics.calibration import reliability
from torch import nn


class Table(nn.Module):
    """An energy whose events are its logits."""

    def logits(self, x):
        return x

    def forward(self, x):
        return -x.logsumexp(1)


def two_classes(*p):
    """Events whose p(y = 1 | x) are given."""
    return torch.tensor([[math.log(1 - q), math.log(q)] for q in p])


def test_numbers_by_hand(make_view):
    x = two_classes(0.9, 0.9, 0.9, 0.7, 0.2)
    y = torch.tensor([1, 1, 0, 1, 1])
    found = Classification(bins=10)(make_view(Table(), x, held_out=x, held_out_y=y))
    assert found["accuracy"] == pytest.approx(3 / 5)
    log_p = [math.log(q) for q in (0.9, 0.9, 0.1, 0.7, 0.2)]
    assert found["nll"] == pytest.approx(-sum(log_p) / 5)
    # confidences .9 .9 .9 in one bin, accuracy 2/3; .7 right; .8 wrong
    expected = (3 * abs(2 / 3 - 0.9) + 1 * abs(1 - 0.7) + 1 * abs(0 - 0.8)) / 5
    assert found["ece"] == pytest.approx(expected, abs=1e-6)
    above, below = found["figure"].axes
    assert above.get_ylim() == (0, 1)
    assert sum(bar.get_height() for bar in below.patches) == 5


def test_a_calibrated_classifier_has_an_ece_of_chance_alone():
    n, generator = 100_000, torch.Generator().manual_seed(0)
    confidence = 0.5 + 0.5 * torch.rand(n, generator=generator, dtype=torch.float64)
    correct = torch.rand(n, generator=generator, dtype=torch.float64) < confidence
    bins = reliability(confidence, correct, 15)
    error = (bins.points * bins.accuracy * (1 - bins.accuracy)).sqrt().sum() / n  # of |acc - conf|
    assert bins.points.sum() == n
    assert bins.ece < 3 * float(error)
    assert reliability(confidence.clamp(max=0.5), correct, 15).ece == pytest.approx(0.25, abs=0.01)


def test_an_energy_without_logits_and_a_run_without_labels_are_refused(make_view, mixture):
    x = two_classes(0.9, 0.2)
    with pytest.raises(ValueError, match=r"an energy with `logits`.*Mixture has none"):
        Classification()(make_view(mixture, x, held_out=x, held_out_y=torch.tensor([0, 1])))
    for known in ({"held_out": x}, {"held_out_y": torch.tensor([0, 1])}):
        with pytest.raises(ValueError, match="judges held-out points with labels"):
            Classification()(make_view(Table(), x, **known))
