"""A run by PCD with tempering keeps replicas and ladder between steps, and resumes bit for bit."""

import json
import shutil

import pytest
import torch

import ebmcore

PARTS = """
import torch
from ebmcore import dataset, energy, loss

@dataset
def points(*, generator=None):
    return 2 * torch.randint(2, (64, 2), generator=generator) - 1 + 0.1 * torch.randn(64, 2)

@energy
class bowl(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 4)

    def forward(self, x):
        return self.layer(x).tanh().sum(1) + x.square().sum(1)

@loss
def gap(energy, x, x_neg):
    return energy(x).mean() - energy(x_neg).mean()
"""


@pytest.mark.parametrize("kernel", ["langevin", "underdamped"])
def test_a_run_resumes_with_its_replicas(kernel, tmp_path):
    file = tmp_path / "tempered_parts.py"
    file.write_text(PARTS)
    config = {
        "plugins": {"files": [str(file)]},
        "data": "points",
        "energy": "bowl",
        "loss": "gap",
        "sampler": {"type": "parallel_tempering", "kernel": {"type": kernel}, "n_steps": 3},
        "chains": {"type": "persistent", "size": 40, "reinit": 0.1},
        "optimizer": {"type": "SGD", "lr": 0.1},
        "train": {"steps": 8, "batch_size": 16, "checkpoint_every": "4 steps"},
        "tracking": "off",
        "device": "cpu",
        "compile": False,
    }
    whole = ebmcore.run(config, progress=False, runs_dir=tmp_path / "runs")
    part = tmp_path / "part"
    shutil.copytree(whole.dir, part)
    for place in part.glob("checkpoints/step-*"):
        if int(place.name[5:]) > 4:
            shutil.rmtree(place)
    facts = json.loads((part / "run.json").read_text())
    (part / "run.json").write_text(json.dumps({**facts, "status": "RUNNING", "pid": 0}))
    resumed = ebmcore.resume(part, plugins=[str(file)], progress=False)
    assert resumed.step == 8
    for one, other in zip(resumed.energy.parameters(), whole.energy.parameters(), strict=True):
        assert torch.equal(one, other)
    names = ["hot", "steps", "log_spacing", "phase", "round_trips"]
    names += ["kernel_momentum"] * (kernel == "underdamped")
    ends = [run.chains.state_dict() for run in (resumed, whole)]
    for name in names:
        assert torch.equal(*(end[f"carried.{name}"] for end in ends))
    kept = ends[0]
    assert kept["carried.hot"].shape == (40, 3, 2)
    assert int(kept["carried.steps"].max()) == 24
    assert (kept["carried.hot"].std(0) > 0).all()


def test_a_config_tempers_kernels_of_bits(tmp_path):
    for name in ("discrete", "chains", "losses"):
        pytest.importorskip(f"ebmcore_{name}")
    config = {
        "data": {"type": "bars", "n": 60},
        "energy": {"type": "rbm", "hidden": 3},
        "loss": "contrastive_divergence",
        "chains": {"type": "persistent", "size": 20},
        "train": {"steps": 2, "batch_size": 10},
        "tracking": "off",
        "compile": False,
    }

    def train(kernel):
        sampler = {"type": "parallel_tempering", "kernel": kernel, "n_steps": 2}
        return ebmcore.run(
            {**config, "sampler": sampler}, progress=False, runs_dir=tmp_path / "runs"
        )

    run = train("gibbs_with_gradients")
    ebmcore.Binary().check(run.sample(10))
    kept = run.chains.state_dict()["carried.hot"]
    assert kept.shape == (20, 3, 4, 4)
    assert ((kept == 0) | (kept == 1)).all()
    with pytest.raises(
        ebmcore.ConfigError, match=r"'langevin' moves in real .* parallel_tempering"
    ):
        train("langevin")
    left = len(list((tmp_path / "runs").iterdir()))
    with pytest.raises(ebmcore.ConfigError, match=r"tempering' .* block_gibbs .* AtTemperature"):
        train("block_gibbs")
    assert len(list((tmp_path / "runs").iterdir())) == left == 1
