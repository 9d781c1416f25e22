"""Runs whose MLflow models tests open, and how to find those models."""

import warnings

import pytest
import torch

import ebmcore
from support import PARTS, TABLE

COLUMNS = ["age", "dose"]
TRUSTED = [str(PARTS), str(TABLE)]


def run_in(place, config):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(place)
        run = ebmcore.run(config, runs_dir=place / "runs", progress=False)
    assert not [text for text in run.warnings if "MLflow" in text]
    return run


def models(client, run, name):
    experiment = client.get_run(run.mlflow_run_id).info.experiment_id
    found = client.search_logged_models(
        [experiment], filter_string=f"source_run_id = '{run.mlflow_run_id}'"
    )
    return [model for model in found if model.name == name]


class Hill(torch.nn.Module):
    """An energy that a module defines, so that a run of objects can be opened again."""

    def __init__(self, dimension):
        super().__init__()
        self.dimension = dimension
        self.weight = torch.nn.Parameter(torch.ones(dimension))

    def forward(self, x):
        return (self.weight * x.square()).sum(1)


def height(energy, x):
    """Return a loss."""
    return energy(x).square().mean()
