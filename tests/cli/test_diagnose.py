"""`ebmcore sample --diagnose`: chains like those of the samples, in a table and in plots."""

import json
from types import SimpleNamespace

import pytest
import yaml
from torch import nn

from ebmcore.errors import EbmError
from ebmcore.runner.results.diagnosis import diagnosed

pytestmark = pytest.mark.plugins


@pytest.fixture
def run_dir(config, tmp_path, monkeypatch, ebmcore_command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    return json.loads(ebmcore_command("run", "c.yaml", "--json").stdout)["run_dir"]


def test_a_table_and_plots_beside_the_events(run_dir, config, tmp_path, ebmcore_command):
    parts = config["plugins"]["files"][0]
    asked = ("sample", run_dir, "-n", 50, "-o", "s.npz", "-p", parts, "--steps", 100, "--diagnose")
    done = ebmcore_command(*asked, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["figures"] == ["s.trace.png", "s.rank.png", "s.energy.png"]
    for figure in found["figures"]:
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
    assert {"mean_x1", "mcse_mean_x1", "q5_x2", "ess_bulk_energy"} <= found["diagnosis"].keys()
    assert found["shape"] == [50, 2]
    refused = ebmcore_command(*asked)
    assert refused.returncode == 2
    assert "s.npz: is there already" in refused.stderr
    (tmp_path / "s.npz").unlink()
    refused = ebmcore_command(*asked)
    assert "s.trace.png: is there already" in refused.stderr
    assert not (tmp_path / "s.npz").exists()
    shown = ebmcore_command(*asked, "--force")
    assert shown.returncode == 0
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert any(line[:2] == ["mean", "mcse_mean"] for line in lines)
    assert [line[0] for line in lines if line and line[0] in ("energy", "x1", "x2")] == [
        "energy", "x1", "x2",
    ]  # fmt: skip


class Labelled(nn.Module):
    def forward(self, x, y):
        return x.square().sum(1) + y


def test_chains_of_several_laws_are_refused():
    run = SimpleNamespace(energy=Labelled(), masks=None)
    with pytest.raises(EbmError, match="of one label, so say which: --y"):
        diagnosed(SimpleNamespace(run=run, y=None, n_steps=None))
    run.masks = True
    with pytest.raises(EbmError, match="of one length"):
        diagnosed(SimpleNamespace(run=run, y=1, n_steps=None))
