"""Sums from a config: terms are nodes of their own, and a run trains their parameters."""

import pytest
import torch

import ebmcore
from ebmcore import ConfigError

PARTS = """
import torch
from ebmcore import dataset, loss

@dataset
def points(*, generator=None):
    return 1 + torch.randn(64, 2, generator=generator)

@loss
def height(energy, x):
    return energy(x).mean()
"""


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "height_parts.py"
    file.write_text(PARTS)
    return {
        "plugins": {"files": [str(file)]},
        "data": "points",
        "loss": "height",
        "optimizer": {"type": "SGD", "lr": 0.1},
        "train": {"steps": 3, "batch_size": 16},
        "tracking": "off",
        "device": "cpu",
    }


def test_a_sum_trains_the_parameters_of_its_terms(config, tmp_path):
    config["energy"] = {
        "type": "sum",
        "terms": [
            {"type": "gaussian", "learnable": True},
            {"type": "tempered", "energy": {"type": "ring"}, "temperature": 10.0},
        ],
        "weights": [1, 0.5],
    }
    run = ebmcore.run(config, progress=False, runs_dir=tmp_path / "runs")
    assert run.status == "FINISHED"
    gaussian, tempered = run.energy.terms
    assert (gaussian.mean != 0).all()
    assert not list(tempered.parameters())
    loaded = ebmcore.load(run.dir).energy
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded(x), run.energy(x))
    assert loaded.terms[1].temperature == 10.0


def test_the_error_of_a_wrong_constant_names_its_line(config):
    config["energy"] = {"type": "sum", "terms": ["gaussian", {"type": "ring", "radius": -1}]}
    with pytest.raises(ConfigError, match=r"energy\.terms\.1\.radius"):
        ebmcore.run(config, progress=False)
