"""Runs of parts that go wrong: what is promised holds all the same."""

import functools
import json
import re

import pytest
import torch
from torch import nn

import ebmcore
from ebmcore import ConfigError, EbmError, Experiment, Kernel, RunError, sample_chain
from ebmcore.runner.api import prepare
from support import HARD
from support.runs import go, same, weights


@pytest.fixture
def config(config):
    config["plugins"]["files"].append(str(HARD))
    config["monitors"] = []
    return config


@pytest.mark.parametrize(
    "change",
    [
        {"data": "careless"},
        {"data": "positional"},
        {"loss": "critic"},
        {"sampler": "careless_walk"},
        {"energy": {"type": "factory", "width": 5}},
        {"chains": "at_zero"},
        {"dtype": "float64"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_careless_parts_repeat_all_the_same(config, change):
    one, two = go(config, **change), go(config, **change)
    assert same(weights(one), weights(two))
    assert same(weights(one), weights(go(one.dir / "config.yaml")))
    assert not same(weights(one), weights(go(config, **change, seed=9)))


def test_how_often_is_logged_changes_nothing(config):
    config["energy"]["dropout"] = 0.3
    one, two = (go(config, **{"train.log_every": n}) for n in (1, 7))
    assert same(weights(one), weights(two))


def test_samples_of_a_careless_sampler_repeat(config):
    run = go(config, sampler="careless_walk")
    assert torch.equal(run.sample(5), run.sample(5))


@pytest.mark.parametrize("monitor", ["writes_data", "freezes"])
def test_a_monitor_that_writes_is_named(config, monitor):
    with pytest.raises(RunError, match=rf"monitor 'hard_parts:{monitor}'.* a monitor may only"):
        go(config, monitors=[monitor])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("leaves", r"step 4: loss 'hard_parts:leaves' .* raised SystemExit: 3"),
        ("constant", r"step 1: the gradient of the losses raised RuntimeError"),
        ("logs_vectors", r"step 1: loss 'hard_parts:logs_vectors' .*'all', to be logged"),
    ],
)
def test_a_failure_names_the_part_and_the_step(config, loss, message):
    with pytest.raises(RunError, match=message) as caught:
        go(config, loss=loss)
    assert json.loads((caught.value.run.dir / "run.json").read_text())["status"] == "FAILED"


def test_a_failed_run_keeps_its_last_good_weights(config):
    with pytest.raises(RunError) as caught:
        go(config, loss="leaves")
    loaded = ebmcore.load(caught.value.run.dir, plugins=config["plugins"]["files"])
    assert (loaded.status, loaded.step) == ("FAILED", 3)
    three = go(config, loss={"type": "leaves", "at": 99}, train={"steps": 3, "batch_size": 20})
    assert same(weights(caught.value.run), weights(three))


def test_a_sampler_that_returns_nan_is_blamed(config):
    with pytest.raises(RunError, match=r"step 1: samples of sampler 'hard_parts:poisoned'"):
        go(config, sampler="poisoned")


def test_plain_numbers_can_be_logged(config):
    assert go(config, loss="logs_floats").metrics["loss/logs_floats/accuracy"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "fails"}, r"data: dataset 'hard_parts:fails' .* FileNotFoundError: no such d"),
        ({"chains": "duck"}, r"chains should be an ebmcore.Chains or a function"),
        ({"chains": "unsaveable"}, r"'state_dict.thing' is object; only tensors, numbers"),
        ({"loss": [None]}, r"loss.0: is empty"),
        ({"monitors": [None]}, r"monitors.0: is empty"),
        (
            {"monitors": [{"type": "parts:warns", "name": "../../out"}]},
            r"should be letters, digits",
        ),
        ({"device": "meta"}, r"nothing can be trained on the meta device"),
    ],
)
def test_refused_before_anything_is_written(config, tmp_path, change, message):
    with pytest.raises(EbmError, match=message):
        go(config, **change)
    assert not list(tmp_path.iterdir())


def test_a_childs_class_and_an_alias_are_not_offers(config):
    found = prepare(config).host.components("energy")
    assert [c.name for c in found if c.plugin.name == "hard_parts"] == ["factory", "parent"]


def test_a_run_repeats_with_its_own_plugin_file_named_again(config):
    run = go(config)
    again = ebmcore.run(run.dir / "config.yaml", plugins=config["plugins"]["files"], progress=False)
    assert same(weights(run), weights(again))


def test_an_average_that_is_too_slow_is_told(config):
    (warning,) = go(config, **{"train.ema": 0.99}).warnings
    assert "train.ema 0.99 is slow for 18 steps: 83%" in warning
    fits = float(warning.rpartition("; ")[2].split()[0])
    assert fits**18 == pytest.approx(0.05, rel=0.1)


def test_a_slow_monitor_is_told(config, monkeypatch):
    from ebmcore.train import warnings as doubts

    monkeypatch.setattr(doubts, "_SLOW", 0.2)
    (warning,) = go(config, monitors=["dozes"]).warnings
    assert re.match(r"monitor 'dozes' took \d of \d+ s; a longer `every`", warning)


@pytest.mark.slow
def test_names_that_mlflow_does_not_take(config, store):
    config["tracking"] = {}
    run = go(config, monitors=["odd_names"])
    found = store.get_run(run.mlflow_run_id)
    assert found.info.status == "FINISHED"
    assert found.data.metrics["odd_names/p_x_"] == 1.0
    assert run.warnings == []


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.dropout = nn.Dropout()

    def forward(self, x):
        return self.dropout(self.weight * x).square().sum(1)

    def loss(self, energy, x):
        return energy(x).mean()


def scaled(energy, x, beta):
    return beta * energy(x).mean()


def experiment(**options):
    options = {"data": torch.randn(60, 2), "energy": Net(), "loss": Net().loss, **options}
    return Experiment(**options)


def train(made, **options):
    options = {"steps": 3, "batch_size": 10, "tracking": False, "progress": False, **options}
    return made.run(**options)


def test_losses_of_objects_in_every_form():
    forms = [Net().loss, functools.partial(scaled, beta=2.0), lambda energy, x: energy(x).mean()]
    run = train(experiment(loss=[*forms, forms[2]]))
    assert {"loss/loss", "loss/scaled", "loss/lambda", "loss/lambda_2"} <= set(run.metrics)
    assert run.mlflow_run_id is None
    assert not run.energy.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -3}, "train.steps: should be greater than 0; got -3"),
        ({"steps": 2.5}, "train.steps: should be a valid integer"),
        ({"ema": 1.5}, "train.ema: should be less than 1"),
        ({"clip_grad_norm": -1}, "train.clip_grad_norm"),
        ({"stepz": 3}, "train.stepz: unknown key"),
    ],
)
def test_an_experiments_training_is_checked_as_a_configs(options, message):
    with pytest.raises(ConfigError, match=message):
        train(experiment(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": []}, "needs at least one loss"),
        ({"loss": Net}, "should be a built loss"),
        ({"monitors": [(lambda view: {}, "often")]}, "monitors: lambda: should be a cadence"),
        ({"chains": 3}, "chains should be"),
        ({"sampler": 3}, "a sampler is"),
        ({"holdout": 1.5}, "holdout should be a share"),
    ],
)
def test_an_experiments_parts_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        experiment(**options)


def test_an_experiment_runs_once():
    made = experiment()
    train(made)
    with pytest.raises(ConfigError, match="this experiment has run"):
        train(made)


def test_an_experiment_keeps_the_energys_dtype():
    run = train(experiment(energy=Net().double()))
    assert run.energy.weight.dtype == torch.float64


def test_no_fewer_than_one_sample(config):
    run = go(config)
    for n, n_steps in ((0, None), (-1, None), (5, 0)):
        with pytest.raises(ValueError, match="should be at least 1"):
            run.sample(n, n_steps)


class Momentum(Kernel):
    """x' = x + v, v' = v + 1: the velocity is a part of the state."""

    def init(self, energy, x):
        from collections import namedtuple

        return namedtuple("State", "x v")(x, torch.zeros_like(x))

    def noise(self, x, generator):
        return ()

    def step(self, energy, state, noise):
        return type(state)(state.x + state.v, state.v + 1), None


def test_a_kernels_state_is_carried_through_burn_in_and_trace():
    expected = torch.full((2, 1), sum(range(10)), dtype=torch.float)
    for options in ({"n_steps": 10}, {"n_steps": 6, "burn_in": 4}):
        assert torch.equal(sample_chain(Momentum(), None, torch.zeros(2, 1), **options), expected)
    x, trace = sample_chain(Momentum(), None, torch.zeros(2, 1), n_steps=10, thin=3, trace=True)
    assert torch.equal(x, expected)
    assert trace.x[:, 0, 0].tolist() == [sum(range(3)), sum(range(6)), sum(range(9))]


@pytest.mark.parametrize("text", ["{}", "[]", "not json"])
def test_a_broken_run_directory_is_refused(config, text):
    run = go(config)
    (run.dir / "run.json").write_text(text)
    with pytest.raises(EbmError, match="no run directory"):
        ebmcore.load(run.dir)


def test_weights_that_do_not_fit_are_refused(config):
    config["energy"] = {"type": "factory", "width": 5}
    run = go(config)
    file = run.dir / "config.yaml"
    file.write_text(file.read_text().replace("width: 5", "width: 6"))
    with pytest.raises(EbmError, match="the weights don't fit the energy"):
        ebmcore.load(run.dir, plugins=config["plugins"]["files"])


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path, monkeypatch):
    from ebmcore.runner import spec

    def breaks(*arguments):
        raise KeyError("before the first line")

    monkeypatch.setattr(spec, "choose_threads", breaks)
    with pytest.raises(KeyError):
        experiment().run(tracking="off", progress=False, steps=2, batch_size=10)
    assert list((tmp_path / "runs").iterdir()) == []
