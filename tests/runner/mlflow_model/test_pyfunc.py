"""`predict` of energies of labels and of masked sequences; trackers/mlflow/model has the others."""

import numpy as np
import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import EbmError, conditioned
from ebmcore.runner.mlflow_model.pyfunc import EnergyModel
from support.compile_parts import ColdLangevin

T = 4


class Steps(nn.Module):
    """E = ½ Σ (x_t - L - 9 y)² over the L steps that count."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x, y, mask):
        centre = self.scale * mask.sum(1, keepdim=True) + 9 * y[:, None]
        return 0.5 * ((x - centre).square() * mask).sum(1)


class Kept(ebmcore.Chains):
    """Chains that keep their ends, with their labels and masks."""

    def __init__(self):
        self.end = None

    def start(self, x, y, mask):
        return ebmcore.Start(x, y, mask=mask)

    def keep(self, end):
        self.end = end

    def kept(self):
        return self.end


def noise(x, generator):
    return 9 * torch.randn(x.shape, generator=generator)


def divergence(energy, x, x_neg, y, y_neg, mask, mask_neg):
    of_data = conditioned(energy, y=y, mask=mask)(x).mean()
    return of_data - conditioned(energy, y=y_neg, mask=mask_neg)(x_neg).mean()


def fit(energy, x, y, mask):
    return conditioned(energy, y=y, mask=mask)(x).mean()


def model_of(energy, data, objective, chains, **options):
    made = ebmcore.Experiment(
        energy=energy, data=data, loss=objective, sampler=ColdLangevin(), chains=chains, n_steps=20,
        **options,
    )  # fmt: skip
    return EnergyModel(made.run(steps=4, batch_size=20, tracking="off", progress=False))


def sequences(loss, chains):
    generator = torch.Generator().manual_seed(0)
    lengths, y = torch.arange(40) % 3 + 2, torch.arange(40) % 2
    x = torch.randn(40, T, generator=generator) + (lengths + 9 * y)[:, None]
    x = x.where(torch.arange(T) < lengths[:, None], 0.0)
    data = {"x": x, "y": y, "lengths": lengths}
    return model_of(Steps(), data, loss, chains), x, y, torch.arange(T) < lengths[:, None]


def assert_near(drawn, scale):
    """Each step that counts lies at the length and the label that the sample says; others are 0."""
    mask = drawn["mask"]
    centre = scale * mask.sum(1, keepdims=True) + 9 * drawn["y"][:, None]
    assert np.abs((drawn["x"] - centre) * mask).max() < 0.5
    assert (drawn["x"][~mask] == 0).all()


def test_samples_have_labels_and_lengths_of_the_run_or_of_rows():
    model, *given = sequences(divergence, Kept())
    rows = dict(zip(("x", "y", "mask"), (of[:3].numpy() for of in given), strict=True))
    scale = float(model.get_raw_model().scale.detach())

    drawn = model.predict(rows, {"what": "sample", "n": 30, "n_steps": 60})
    assert_near(drawn, scale)
    assert set(drawn["y"]) == {0, 1}
    assert set(drawn["mask"].sum(1)) == {2, 3, 4}
    expected = model.run.sample(30, 60).numpy()
    np.testing.assert_array_equal(drawn["x"], expected)

    of_rows = model.predict(rows, {"what": "sample", "n_steps": 60})
    assert_near(of_rows, scale)
    for name in ("y", "mask"):
        np.testing.assert_array_equal(of_rows[name], rows[name])

    of_one = model.predict(rows, {"what": "sample", "n": 5, "n_steps": 60, "label": 1.0})
    assert_near(of_one, scale)
    assert of_one["y"].tolist() == [1] * 5

    energies = model.predict({**rows, "y": np.ones(3, dtype=int)})
    np.testing.assert_array_equal(model.predict(rows, {"label": 1}), energies)
    np.testing.assert_array_equal(
        model.predict(rows, {"what": "score", "label": 1})["energy"], energies
    )


def test_a_label_that_a_run_cannot_take_is_refused():
    model, x, _, _ = sequences(fit, noise)
    rows = {"x": x[:3].numpy()}
    with pytest.raises(EbmError, match="requires a condition y; say which: y=…, --y, label"):
        model.predict(rows, {"what": "sample", "n": 5})

    class Bowl(Steps):
        def forward(self, x):
            return x.square().sum(1) * self.scale

    plain = model_of(Bowl(), x, lambda energy, x: energy(x).mean(), noise)
    for what in ("energy", "sample"):
        with pytest.raises(EbmError, match="label: the run's energy is not one of labels; got 2"):
            plain.predict(x[:3].numpy(), {"what": what, "label": 2})
