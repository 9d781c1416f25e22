"""The training loop on parts small enough to follow: averages, clipping, schedules, losses."""

import pytest
import torch

from ebmcore import ConfigError, load
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from support.runs import go, same, weights


def test_monitors_change_no_weight_by_a_bit(config):
    config["energy"]["dropout"] = 0.3  # draws from torch's global generator in every step
    one = go(config)
    for monitors in ([], [{"type": "parts:looks", "every": "3 steps"}]):
        two = go(config, monitors=monitors)
        for name in ("weights", "ema", "chains"):
            assert same(weights(one, name), weights(two, name))


def test_another_seed_is_another_run(config):
    assert not same(weights(go(config)), weights(go(config, seed=4)))


def test_the_global_generators_are_left_as_they_were(config):
    torch.manual_seed(11)
    state = torch.get_rng_state()
    go(config)
    assert torch.equal(torch.get_rng_state(), state)


def test_monitors_and_samples_use_the_averaged_weights(config):
    run = go(config)
    assert not same(weights(run), weights(run, "ema"))
    assert torch.equal(run.energy.weight, weights(run, "ema")["weight"])
    plain = go(config, **{"train.ema": None})
    assert torch.equal(plain.energy.weight, weights(plain)["weight"])
    assert not list(plain.dir.glob("checkpoints/*/ema.safetensors"))


def test_the_average_is_torchs(config):
    # one batch a step, decay 0.9: recomputed here from the weights of runs of each length
    states = [go(config, train={"steps": n, "batch_size": 20}, monitors=[]) for n in (1, 2, 3)]
    expected = weights(states[0])["weight"]
    for run in states[1:]:
        expected = 0.9 * expected + 0.1 * weights(run)["weight"]
    averaged = go(config, train={"steps": 3, "batch_size": 20, "ema": 0.9}, monitors=[])
    torch.testing.assert_close(weights(averaged, "ema")["weight"], expected)


def test_gradients_are_clipped(config):
    config["optimizer"] = {"type": "SGD", "lr": 1.0}
    config["train"] = {"steps": 1, "batch_size": 20}
    config["monitors"] = []
    start = go(config, **{"optimizer.lr": 1e-30})
    free = go(config)
    norm = free.metrics["train/grad_norm"]
    moved = (weights(free)["weight"] - weights(start)["weight"]).norm()
    torch.testing.assert_close(moved.item(), norm, rtol=1e-4, atol=0)
    clipped = go(config, **{"train.clip_grad_norm": norm / 10})
    assert clipped.metrics["train/grad_norm"] == norm  # as it was before it was clipped
    moved = (weights(clipped)["weight"] - weights(start)["weight"]).norm()
    torch.testing.assert_close(moved.item(), norm / 10, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("interval", "steps"), [("epoch", 2), ("step", 18)])
def test_the_schedule_steps(config, interval, steps):
    config["lr_scheduler"] = {"type": "ExponentialLR", "gamma": 0.9, "interval": interval}
    assert go(config).metrics["train/lr"] == pytest.approx(0.05 * 0.9**steps)


def test_losses_are_summed_with_their_weights(config):
    config["loss"] = [{"type": "parts:gap"}, {"type": "parts:size", "weight": 0.25}]
    run = go(config, **{"train.steps": 1, "train.epochs": None})
    found = run.metrics
    assert found["loss"] == pytest.approx(found["loss/gap"] + 0.25 * found["loss/size"])


def test_a_losss_own_parameters_are_trained(config):
    config["loss"] = {"type": "parts:offset"}
    config["energy"]["width"] = 2.0
    run = go(config, **{"train.epochs": 30})
    assert run.metrics["loss/offset"] < 0.1  # only the loss's constant can bring it down this far


def test_data_noise_has_a_stream_of_its_own(config):
    one, two = (go(config, **{"train.data_noise": s}, monitors=[]) for s in (0.1, 0.2))
    assert not same(weights(one), weights(two))
    assert same(weights(one), weights(go(config, **{"train.data_noise": 0.1})))


FITTED = """
import torch
from ebmcore import chains, energy, loss

@loss
class fitted:
    def __init__(self, training_data):
        self.mean = training_data.mean(0)

    def __call__(self, energy, x):
        return (energy(x) - energy(self.mean[None])).mean(), {"mean": self.mean[0]}

@energy
class around(torch.nn.Module):
    def __init__(self, training_data=None):
        super().__init__()
        mean = torch.zeros(2) if training_data is None else training_data.mean(0)
        self.register_buffer("mean", mean)
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x):
        return (self.weight * (x - self.mean).square()).sum(1)

@chains
class greedy:
    def __init__(self, training_data):
        pass

    def start(self, x):
        return x
"""


def test_energies_and_losses_get_the_training_data(config, tmp_path):
    (tmp_path / "fitted.py").write_text(FITTED)
    config["plugins"]["files"].append(str(tmp_path / "fitted.py"))
    config["loss"] = "fitted"
    run = go(config)
    data = compose(*prepare(config)).data.x
    assert run.metrics["loss/fitted/mean"] == pytest.approx(float(data.mean(0)[0]))
    config["energy"] = "around"
    run = go(config)
    again = load(run.dir, plugins=config["plugins"]["files"])
    for found in (run, again):  # a run that is opened again has it in its weights
        torch.testing.assert_close(found.energy.mean, data.mean(0))
    config["chains"] = "greedy"
    with pytest.raises(ConfigError, match="which is handed to energies and losses alone"):
        go(config)
