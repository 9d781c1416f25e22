"""Losses that train on the Hessian's trace are refused on energies that have none."""

import pytest

import ebmcore
from ebmcore import ConfigError
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose

LOCAL = """
import torch
from torch import nn
from ebmcore import energy, loss

@energy
class kinked(nn.Module):
    def __init__(self, *, smooth: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.activation = nn.Softplus() if smooth else nn.ReLU()
        self.piecewise_linear = not smooth

    def forward(self, x):
        return self.activation(self.weight * x).flatten(1).sum(1)

@energy
class bowl_and(nn.Module):
    def __init__(self, of: nn.Module):
        super().__init__()
        self.of = of

    def forward(self, x):
        return self.of(x) + x.square().flatten(1).sum(1)

@loss(order=2, needs_curvature=True)
def trace(energy, x):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    return gradient.square().mean()

@loss(order=2)
def slope(energy, x):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(x).sum(), x, create_graph=True)
    return gradient.square().mean()
"""


@pytest.fixture
def config(config, tmp_path):
    file = tmp_path / "curved.py"
    file.write_text(LOCAL)
    config["plugins"]["files"].append(str(file))
    config["energy"] = {"type": "kinked"}
    config["loss"] = {"type": "trace"}
    config["monitors"] = []
    del config["sampler"], config["chains"]
    return config


def refusal(config):
    with pytest.raises(ConfigError) as caught:
        ebmcore.run(config, progress=False)
    (problem,) = caught.value.problems
    return problem


def test_the_energy_is_named_with_the_reason_and_a_way_out(config):
    problem = refusal(config)
    assert problem.path == "energy"
    assert problem.message.startswith("energy 'curved:kinked' (")
    assert "is piecewise linear in x" in problem.message
    assert "the trace of its Hessian is 0 almost everywhere" in problem.message
    assert "loss 'curved:trace'" in problem.message
    assert "take a smooth activation, such as silu, softplus or tanh" in problem.message


def test_a_trained_part_that_is_flat_is_seen(config):
    config["energy"] = {"type": "bowl_and", "of": {"type": "kinked"}}
    assert "is piecewise linear in x" in refusal(config).message
    config["energy"]["of"]["smooth"] = True
    compose(*prepare(config), device="meta").dry_run(prepare(config).config.train)


def test_nothing_is_written(config, tmp_path):
    refusal(config)
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_refuses_it_too(config):
    prepared = prepare(config)
    experiment = compose(*prepared, device="meta")
    with pytest.raises(ConfigError, match="piecewise linear"):
        experiment.dry_run(prepared.config.train)


def test_one_such_loss_among_several_is_enough(config):
    config["loss"] = [{"type": "size"}, {"type": "trace", "weight": 0.1}]
    assert "piecewise linear" in refusal(config).message


def test_a_smooth_energy_is_trained(config):
    config["energy"]["smooth"] = True
    assert ebmcore.run(config, progress=False).status == "FINISHED"


def test_a_loss_without_curvature_trains_on_a_kinked_energy(config):
    config["loss"] = {"type": "slope"}
    assert ebmcore.run(config, progress=False).status == "FINISHED"


@pytest.mark.plugins
@pytest.mark.parametrize("loss", ["score_matching", "sliced_score_matching"])
def test_ours_refuse_leaky_relu(config, loss):
    config["energy"] = {"type": "mlp", "hidden": [4], "activation": "leaky_relu"}
    config["loss"] = {"type": loss}
    message = refusal(config).message
    assert "mlp" in message
    assert "piecewise linear" in message
    assert loss in message
    assert "silu" in message
    config["energy"]["activation"] = "silu"
    assert ebmcore.run(config, progress=False).status == "FINISHED"
