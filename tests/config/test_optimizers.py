"""Optimizers and schedules by name: torch's, a user's own, and schedules in sequence."""

import inspect

import pytest
import torch
from torch.optim import lr_scheduler

from ebmcore import ConfigError, Host
from ebmcore.config import config_schema, keys_of, maker, needs_argument
from ebmcore.runner.api import prepare
from support import OPTIM

WARMED = {
    "type": "SequentialLR",
    "schedulers": [
        {"type": "LinearLR", "start_factor": 0.1, "total_iters": 3},
        {"type": "CosineAnnealingLR", "T_max": 5},
    ],
    "milestones": [3],
    "interval": "step",
}


@pytest.fixture
def config(config):
    config["plugins"]["files"].append(str(OPTIM))
    return config


def problem(config, **overrides):
    with pytest.raises(ConfigError) as caught:
        prepare(config, overrides)
    (found,) = caught.value.problems
    return str(found)


@pytest.mark.parametrize(
    ("kind", "module", "base", "left_out"),
    [
        ("optimizer", torch.optim, torch.optim.Optimizer, {"LBFGS"}),
        (
            "lr_scheduler",
            lr_scheduler,
            lr_scheduler.LRScheduler,
            {"LambdaLR", "MultiplicativeLR"},
        ),
    ],
    ids=["optimizer", "lr_scheduler"],
)
def test_the_core_offers_all_that_torch_has(kind, module, base, left_out):
    there = {
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, base) and value is not base
        if not name.startswith("_")
    }
    offered = {c.name: c for c in Host(()).components(kind)}
    assert offered.keys() == there - left_out
    for name, component in offered.items():
        assert component.load() is getattr(module, name)
        assert not {"params", "optimizer", "last_epoch"} & {
            key.name for key in keys_of(kind, component.load())
        }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"optimizer.type": "sgd"}, "no optimizer 'sgd'. Did you mean 'SGD'? Installed: ASGD, "),
        ({"optimizer.type": "heavy"}, "Did you mean 'Heavy'"),
        ({"optimizer": "LBFGS"}, "'LBFGS' can't be used in a config: its step calls the loss"),
        ({"lr_scheduler": "LambdaLR"}, "'LambdaLR' can't be used in a config: it takes a function"),
        ({"optimizer": {"type": "Heavy", "moment": 1}}, "Did you mean 'momentum'? Keys here: lr, "),
        ({"optimizer": {"type": "Heavy", "lr": -1}}, "optimizer.lr: should be greater than 0"),
        ({"lr_scheduler": "ReduceLROnPlateau"}, "lr_scheduler.metric: missing"),
        (
            {"lr_scheduler": {"type": "ChainedScheduler", "schedulers": ["ReduceLROnPlateau"]}},
            "schedulers.0: ReduceLROnPlateau follows a metric, so it can't be one of several",
        ),
        (
            {"lr_scheduler": {**WARMED, "schedulers": [{"type": "LinearLR", "total": 3}]}},
            "lr_scheduler.schedulers.0.total: ",
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:30],
)
def test_messages(config, overrides, message):
    assert message in problem(config, **overrides)


def test_ones_own_by_name_with_its_keys(config):
    config |= {"optimizer": {"type": "optim_parts:Heavy", "lr": 1}, "lr_scheduler": "Halves"}
    config["networks"] = {}
    resolved = prepare(config).config
    assert resolved.record["optimizer"] == {"type": "optim_parts:Heavy", "lr": 1.0, "momentum": 0.9}
    assert resolved.record["lr_scheduler"] == {"type": "Halves", "every": 2, "interval": "epoch"}
    names = {node.kind: node.component.full_name for node in resolved.nodes}
    assert names["optimizer"] == "optim_parts:Heavy"
    assert names["lr_scheduler"] == "optim_parts:Halves"
    weight = torch.nn.Parameter(torch.ones(2))
    assert maker(resolved.optimizer)([weight]).param_groups[0]["momentum"] == 0.9
    config["optimizer"] = {"type": "slow_sgd", "factor": 0.5}
    made = maker(prepare(config).config.optimizer)([weight])
    assert (type(made), made.param_groups[0]["lr"]) == (torch.optim.SGD, 0.5)


def test_a_plugin_cannot_take_torchs_name_away(config, tmp_path):
    file = tmp_path / "shadows.py"
    file.write_text(
        "import torch\nfrom ebmcore import optimizer\n"
        "@optimizer\nclass Adam(torch.optim.SGD):\n    pass\n"
    )
    config["plugins"]["files"].append(str(file))
    config.pop("optimizer")
    assert prepare(config).config.optimizer.target is torch.optim.Adam
    config["optimizer"] = {"type": "shadows:Adam", "lr": 0.1}
    assert prepare(config).config.optimizer.target.__module__ != "torch.optim.adam"


@pytest.mark.parametrize("name", ["SequentialLR", "ChainedScheduler"])
def test_schedules_of_schedules_are_torchs(config, name):
    config["optimizer"] = {"type": "SGD", "lr": 0.5}
    config["lr_scheduler"] = {**WARMED, "type": name}
    if name == "ChainedScheduler":
        config["lr_scheduler"].pop("milestones")
    node = prepare(config).config.lr_scheduler
    assert [n.type for n in node.children] == ["LinearLR", "CosineAnnealingLR"]
    assert node.record["schedulers"][0]["total_iters"] == 3

    def rates(make):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
        schedule, found = make(optimizer), []
        for _ in range(8):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return found

    def by_hand(optimizer):
        inner = [
            lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3),
            lr_scheduler.CosineAnnealingLR(optimizer, 5),
        ]
        if name == "ChainedScheduler":
            return lr_scheduler.ChainedScheduler(inner, optimizer)
        return lr_scheduler.SequentialLR(optimizer, inner, [3])

    assert rates(maker(node)) == rates(by_hand)


def test_schedules_that_take_a_metric_are_known():
    assert needs_argument(lr_scheduler.ReduceLROnPlateau)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
    assert needs_argument(lr_scheduler.ReduceLROnPlateau(optimizer))
    assert not needs_argument(lr_scheduler.StepLR)
    assert not needs_argument(lr_scheduler.StepLR(optimizer, 1))
    assert not needs_argument(lambda optimizer: None)


def test_the_schema_has_branches_for_them(config):
    schema = config_schema(prepare(config).host)
    (branches, names, _reference, _null) = schema["properties"]["lr_scheduler"]["anyOf"]
    found = {branch["properties"]["type"]["enum"][-1]: branch for branch in branches["oneOf"]}
    assert {"Halves", "SequentialLR", "ReduceLROnPlateau"} <= found.keys()
    assert "Halves" in names["enum"]
    items = found["SequentialLR"]["properties"]["schedulers"]["items"]
    assert items == {"$ref": "#/$defs/lr_scheduler"}
    assert found["ReduceLROnPlateau"]["required"] == ["type", "metric"]
    inner = schema["$defs"]["lr_scheduler"]["anyOf"][0]["oneOf"]
    assert "ReduceLROnPlateau" not in {b["properties"]["type"]["enum"][-1] for b in inner}
