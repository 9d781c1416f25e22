"""ebmcore discovers the plugin and runs its energy and its monitor."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from ebmcore_example.energy import Quadratic
from ebmcore_example.moments import command

import ebmcore


def test_it_is_found():
    (point,) = entry_points(group="ebmcore.v1", name="example")
    assert point.dist.name == "ebmcore-example-plugin"
    host = ebmcore.Host.discover()
    assert host.find("energy", "quadratic").plugin.version == "0.1.0"
    assert host.find("monitor", "precision").full_name == "example:precision"
    assert host.find("command", "runs moments").load() is command


def test_the_energy_by_hand():
    energy = Quadratic((2,), scale=0.5)
    with torch.no_grad():
        energy.mean.copy_(torch.tensor([1.0, -1.0]))
    values = energy(torch.tensor([[1.0, -1.0], [2.0, 1.0]]))
    torch.testing.assert_close(values, torch.tensor([0.0, 0.5 * (1 + 4) / 0.25]))


def test_the_example_finds_the_gaussian(tmp_path):
    config = Path(__file__).parents[1] / "example.yaml"
    run = ebmcore.run(config, {"tracking": "off"}, runs_dir=tmp_path, progress=False)
    assert run.status == "FINISHED"
    # Langevin's own bias at this step, η/(2s²) = 10 %, is what the fitted precision makes up for
    assert run.metrics["precision/error"] == pytest.approx(0.1, abs=0.06)
    assert run.metrics["precision/mean_error"] < 0.05
    answer = command(str(run.dir))
    torch.testing.assert_close(torch.tensor(answer.document["mean"]), run.energy.mean.detach())
    covariance = torch.tensor(answer.document["covariance"])
    torch.testing.assert_close(covariance, 0.25 * torch.eye(2), atol=0.05, rtol=0)
