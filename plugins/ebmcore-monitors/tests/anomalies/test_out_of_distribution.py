import io
import re
from dataclasses import replace

import pytest
import torch
from ebmcore_monitors.anomalies.out_of_distribution import OutOfDistribution
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from ebmcore import ConfigError, Experiment


class Norm(nn.Module):
    """E(x) = |x|² / 2."""

    def forward(self, x):
        return x.flatten(1).square().sum(1) / 2


class Labelled(nn.Module):
    """E(x, y) = (x - 3y)² / 2."""

    def forward(self, x, y):
        return (x[:, 0] - 3 * y).square() / 2


class Masked(nn.Module):
    """The sum of the steps that count."""

    def forward(self, x, mask=None):
        return (x if mask is None else x * mask).sum(1)


def column(*values):
    return torch.tensor([[float(value)] for value in values])


def read_by(view):
    """Return the view with a reader of plain tensors and pairs."""

    def read(dataset):
        found = dataset()
        x, y, mask = (*found, None)[:3] if isinstance(found, tuple) else (found, None, None)
        return x, (y, mask)

    return replace(view, reader=read)


@pytest.fixture
def numbers(make_view):
    def look(against, *, held_out, energy=None, labels="auto", **known):
        view = make_view(energy or Norm(), held_out, held_out=held_out, **known)
        return OutOfDistribution(against=lambda: against, labels=labels)(read_by(view))

    return look


def test_held_out_points_against_all_of_the_others(numbers):
    found = numbers(column(1, 5, 5), held_out=column(0, 1, 2, 3))
    # energies .5, 12.5, 12.5 against 0, .5, 2, 4.5
    assert found["auroc"] == pytest.approx((1.5 + 4 + 4) / 12)
    assert found["aupr"] == pytest.approx(2 / 3 * 1 + 1 / 3 * 3 / 6)
    assert found["aupr_baseline"] == pytest.approx(3 / 7)
    assert (found["normal"], found["anomalies"]) == (4, 3)


def test_areas_are_those_of_scikit_learn(numbers):
    g = torch.Generator().manual_seed(0)
    held_out, others = torch.randn(300, 3, generator=g), 1.5 * torch.randn(120, 3, generator=g)
    y = (torch.rand(120, generator=g) < 0.5).long()
    found = numbers((others, y), held_out=held_out)
    truth = [*[0] * 300, *y.tolist()]
    scores = Norm()(torch.cat([held_out, others])).numpy()
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert found["aupr"] == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert found["normal"] == 300 + int((y == 0).sum())


@pytest.mark.parametrize(
    ("labels", "y", "held_out_y", "normal", "anomalies"),
    [
        ("auto", None, None, 4, 3),
        ("auto", [0, 1, 1], None, 5, 2),
        ("auto", [0, 1, 2], None, 4, 3),  # classes
        ("ignore", [0, 1, 1], None, 4, 3),
        ("auto", [0.0, 1.0, 1.0], None, 5, 2),
        ("anomaly", [0, 1, 1], [0, 0, 0, 1], 4, 3),
        ("anomaly", [0, 1, 1], [7, 7, 7, 1], 5, 2),
        ("auto", None, [0, 0, 0, 1], 4, 3),
    ],
)
def test_labels_of_0_and_1_decide(numbers, labels, y, held_out_y, normal, anomalies):
    y, held_out_y = (None if v is None else torch.tensor(v) for v in (y, held_out_y))
    found = numbers(
        (column(1, 5, 6), y), held_out=column(0, 1, 2, 3), labels=labels, held_out_y=held_out_y
    )
    assert (found["normal"], found["anomalies"]) == (normal, anomalies)


@pytest.mark.parametrize(
    ("y", "held_out", "labels", "error"),
    [
        (None, column()[:, None].reshape(0, 1), "auto", "no normal points: set data.holdout"),
        ([0, 0], column(1), "auto", "no anomalies"),
        ([0, 5], column(1), "anomaly", "needs a label of 0 .* for each point"),
        (None, column(1), "anomaly", "found none"),
        (None, column(torch.nan), "auto", "E is NaN at 1 of 3 points"),
    ],
    ids=["no normal", "no anomaly", "classes", "no labels", "nan"],
)
def test_what_cannot_be_judged_is_refused(numbers, y, held_out, labels, error):
    y = None if y is None else torch.tensor(y)
    with pytest.raises(ValueError, match=error):
        numbers((column(2, 4), y), held_out=held_out, labels=labels)


def test_an_energy_that_requires_labels_is_summed_over_them(numbers):
    y = torch.tensor([0, 1])
    held_out = column(-0.9, -1.2)
    found = numbers(column(1.5), held_out=held_out, energy=Labelled(), data_y=y)
    # E(1.5) = 1.125 - log 2 = .432, between E(-.9) = .404 and E(-1.2) = .720
    assert found["auroc"] == 0.5
    with pytest.raises(ValueError, match="summed over at most 100"):
        numbers(column(1.5), held_out=column(0, 3), energy=Labelled(), data_y=column(0, 1))


def test_columns_that_are_not_read_are_told_of_once(make_view):
    def other():
        return column(1, 5)

    other.warnings = ("new.csv: ignored 'fault'",)
    told = []
    view = make_view(Norm(), column(0), held_out=column(0, 1))
    monitor = OutOfDistribution(against=other)
    for _ in range(2):
        monitor(replace(read_by(view), warn=told.append))
    assert told == [
        "new.csv: ignored 'fault'; without labels all of its points are taken for anomalies: name "
        "their column by --label, or `label` of its node"
    ]


def test_masks_say_which_steps_count(numbers):
    ones = torch.ones(2, 3)
    short = torch.tensor([[True, False, False]] * 2)
    found = numbers((ones, None, short), held_out=ones, energy=Masked())
    assert found["auroc"] == 0
    found = numbers((ones, None, None), held_out=ones, energy=Masked(), held_out_mask=short)
    assert found["auroc"] == 1


@pytest.mark.parametrize("far", [1.0, torch.inf])
def test_the_figure_shows_each_kind_and_both_curves(numbers, far):
    figure = numbers(column(*range(5), far), held_out=column(*range(20)))["figure"]
    histogram, roc, pr = figure.axes
    normal, anomalies = (text.get_text() for text in histogram.get_legend().get_texts())
    assert normal == "normal (20)"
    assert anomalies == f"anomalies (6{', 17% further right' if far > 10 else ''})"
    assert roc.lines[0].get_xydata()[[0, -1]].tolist() == [[0, 0], [1, 1]]
    assert pr.lines[1].get_ydata()[0] == pytest.approx(6 / 26)
    figure.savefig(io.BytesIO())


class Weighted(Norm):
    """A multiple of |x|² / 2."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return self.weight * super().forward(x)


@pytest.mark.parametrize("shape", [(3,), (6, 2, 2)], ids=str)
def test_tables_images_and_sequences_are_mapped_as_the_data(monkeypatch, tmp_path, shape):
    monkeypatch.chdir(tmp_path)
    data = 10 + torch.randn(40, *shape, generator=torch.Generator().manual_seed(0))

    def run(against):
        return Experiment(
            data=data,
            energy=Weighted(),
            loss=lambda energy, x: energy(x).mean(),
            transforms=[lambda x: x - 10],
            monitors=[OutOfDistribution(against=lambda: against)],
        ).run(steps=2, batch_size=8, tracking="off", progress=False)

    found = run(torch.full((20, *shape), 10.0))
    assert [text for text in found.warnings if "a longer `every`" not in text] == []  # it's slow
    assert found.metrics["OutOfDistribution/auroc"] == 0  # each at the mode
    assert found.metrics["OutOfDistribution/anomalies"] == 20
    with pytest.raises(
        ConfigError, match=rf"shape \[5\], and one of this .* {re.escape(str([*shape]))}"
    ):
        run(torch.randn(20, 5))
