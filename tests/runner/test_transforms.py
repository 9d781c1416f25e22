"""Runs of transformed data: what they train on, what they keep, and what they give back."""

import numpy as np
import pytest
import torch
import yaml

import ebmcore
from ebmcore import ConfigError, EbmError, Experiment
from support import MAPS, planted
from support.runs import go, tensors


@pytest.fixture
def config(config):
    config["plugins"]["files"].append(str(MAPS))
    config["train"] = {"steps": 12, "batch_size": 20, "checkpoint_every": "5 steps"}
    config["monitors"] = [{"type": "parts:looks", "every": "end"}]
    return config


def test_a_run_keeps_its_transforms_and_undoes_them(config, tmp_path):
    plain = go(config)
    assert "transform" not in yaml.safe_load((plain.dir / "config.yaml").read_text())["data"]
    assert not any("transforms" in name for name in tensors(plain.dir))
    assert plain.transforms.parts == ()

    config["data"]["transform"] = "centred"
    run = go(config)
    assert yaml.safe_load((run.dir / "config.yaml").read_text())["data"]["transform"] == {
        "type": "centred"
    }
    (mean,) = (value for name, value in tensors(run.dir).items() if "transforms" in name)
    assert mean.abs().sum() > 0.01
    torch.testing.assert_close(run.bounds, plain.bounds - mean)
    opened = ebmcore.load(run.dir, plugins=config["plugins"]["files"])
    inner = opened.draw(50).x
    assert torch.equal(opened.sample(50), run.sample(50))
    assert torch.equal(opened.sample(50), inner + mean)
    assert torch.equal(opened.transforms(opened.sample(50)), inner + mean - mean)

    files = [word for file in config["plugins"]["files"] for word in ("-p", file)]
    code, said = planted.command("sample", run.dir, "-n", 50, "-o", "x.npz", *files)
    assert (code, "no inverse" in said) == (0, False)
    with np.load("x.npz") as file:
        assert np.array_equal(file["x"], run.sample(50).numpy())
        with torch.no_grad():  # of the events as the energy takes them
            assert np.allclose(file["energy"], opened.energy(inner).numpy())
    found = ebmcore.evaluate(
        run.dir, {"monitors": ["parts:looks"]}, plugins=config["plugins"]["files"]
    )
    assert found.metrics["looks/mean"] == run.metrics["looks/mean"]


def test_a_run_with_a_map_without_inverse_says_so(config):
    config["data"]["transform"] = ["centred", "doubled"]
    run = go(config)
    files = [word for file in config["plugins"]["files"] for word in ("-p", file)]
    code, said = planted.command("sample", run.dir, "-n", 5, "-o", "x.npz", *files)
    assert code == 0
    assert "transform doubled has no inverse, so x has its units" in said


def test_objects_hand_their_transforms_over_again():
    torch.manual_seed(0)
    x = 5 + torch.randn(60, 2)

    class Shift(ebmcore.Transform):
        def fit(self, x):
            self.mean = x.mean(0)

        def __call__(self, x):
            return x - self.mean

        def state_dict(self):
            return {"mean": self.mean}

        def load_state_dict(self, state):
            self.mean = state["mean"]

    def loss(energy, x):
        assert x.mean().abs() < 1
        return energy(x).square().mean()

    energy = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    experiment = Experiment(data=x, energy=energy, loss=loss, transforms=[Shift()])
    run = experiment.run(steps=2, batch_size=10, tracking="off", progress=False)
    assert run.transforms(x).mean().abs() < 0.2
    with pytest.raises(EbmError, match=r"transforms can't be made again: Shift is .*transforms="):
        ebmcore.load(run.dir, energy=energy)
    opened = ebmcore.load(run.dir, energy=energy, transforms=[Shift()])
    assert torch.equal(opened.transforms(x), run.transforms(x))


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ("centered", "data.transform.type: no transform 'centered'. Did you mean 'centred'?"),
        ([{"type": "jitters", "sigm": 1}], "data.transform.0.sigm: unknown key"),
        ([3], "data.transform.0: should be a mapping with a `type`; got 3"),
        (["centred", "early"], "data.transform.1: early asks for event_shape when it is built"),
        (["centred", "bits"], "data.transform.1: bits: takes binary events, and those that it"),
    ],
)
def test_a_wrong_transform_is_refused_where_it_stands(config, transform, message):
    config["data"]["transform"] = transform
    with pytest.raises(ConfigError) as caught:
        go(config)
    assert message in str(caught.value)
