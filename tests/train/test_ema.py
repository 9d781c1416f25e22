"""The moving average of the weights: the norms of layers that are normalised by their largest."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

import ebmcore
from ebmcore.train.ema import Average
from support.runs import assert_same, cut, go

LAYERS = (nn.Conv2d, nn.Linear)


def build():
    layers = (nn.Conv2d(2, 30, 3), nn.Flatten(), nn.Linear(480, 60), nn.Linear(60, 20))
    return nn.Sequential(*(spectral_norm(m) if isinstance(m, LAYERS) else m for m in layers))


def largest(module):
    weights = [m.weight.detach() for m in module.eval().modules() if isinstance(m, LAYERS)]
    return torch.stack([torch.linalg.matrix_norm(w.flatten(1), 2) for w in weights])


@pytest.mark.parametrize("seed", range(3))
def test_spectral_norms_of_the_average_are_its_own(seed):
    torch.manual_seed(seed)
    net = build()
    average = Average(net, 0.95)
    for _ in range(40):
        net(torch.zeros(1, 2, 6, 6))  # a power iteration
        with torch.no_grad():
            for weight in net.parameters():
                weight += 0.05 * torch.randn(weight.shape)
        average.update_parameters(net)
    assert largest(average.module).max() > 1.01  # by the singular vectors of the last weights
    before = {k: v.clone() for k, v in average.module.state_dict().items()}
    average.settle()
    assert largest(average.module).max() < 1 + 1e-5
    assert largest(average.module).min() > 1 - 1e-5
    after = average.module.state_dict()
    assert {k for k in after if not torch.equal(before[k], after[k])} <= {
        k for k in after if k.endswith(("0._u", "0._v"))
    }
    loaded = build()
    loaded.load_state_dict(after)
    torch.testing.assert_close(largest(loaded), torch.ones(3), rtol=0, atol=1e-5)


def test_weights_without_a_spectral_norm_are_left_alone():
    net = nn.Sequential(nn.Linear(3, 2), nn.utils.parametrizations.weight_norm(nn.Linear(2, 1)))
    average = Average(net, 0.9)
    before = {k: v.clone() for k, v in average.module.state_dict().items()}
    average.settle()
    assert all(torch.equal(before[k], v) for k, v in average.module.state_dict().items())


def test_a_vector_and_weights_that_are_not_finite_keep_theirs():
    net = nn.Sequential(spectral_norm(nn.Linear(3, 2)), spectral_norm(nn.LayerNorm(4)))
    with torch.no_grad():
        net[0].parametrizations.weight.original[0, 0] = torch.nan
    average = Average(net, 0.9)
    before = average.module[0].parametrizations.weight[0]._u.clone()
    average.settle()
    assert torch.equal(average.module[0].parametrizations.weight[0]._u, before)


@pytest.mark.plugins
@pytest.mark.parametrize(
    "net", [{"type": "mlp", "hidden": [64, 64]}, {"type": "conv", "channels": [8, 16]}]
)
def test_runs_use_save_and_resume_them(net, tmp_path):
    np.save(tmp_path / "x.npy", torch.randn(64, 8, 8).numpy())
    config = {
        "data": {"type": "file", "path": str(tmp_path / "x.npy")},
        "energy": {**net, "activation": "silu", "spectral_norm": True},
        "loss": "denoising_score_matching",
        "optimizer": {"type": "Adam", "lr": 0.03},
        "train": {"steps": 12, "batch_size": 32, "ema": 0.95, "checkpoint_every": "6 steps"},
        "tracking": "off",
    }
    run = go(config)
    part = cut(run, 6)
    for module in (run.energy, ebmcore.load(run.dir).energy, ebmcore.load(part).energy):
        norms = largest(module)
        assert (norms - 1).abs().max() < 1e-4
    resumed = ebmcore.resume(part, progress=False)
    assert_same(run.dir, resumed.dir)
    assert (largest(resumed.energy) - 1).abs().max() < 1e-4
