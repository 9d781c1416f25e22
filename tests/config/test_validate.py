"""A config is checked as a whole: every problem at once, each with its place."""

import json

import pytest
import torch

from ebmcore import ConfigError, PluginError
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose


def problems(config, **overrides):
    with pytest.raises(ConfigError) as caught:
        prepare(config, overrides)
    return {problem.path: problem for problem in caught.value.problems}


def test_a_good_config_is_resolved_with_every_default(config):
    record = prepare(config).config.record
    assert record["energy"] == {"type": "parts:bowl", "width": 1.0, "dropout": 0.0}
    assert record["sampler"] == {"type": "parts:walk", "step_size": 0.1, "n_steps": 3}
    assert record["loss"] == [
        {"type": "parts:gap", "beta": 1.0, "weight": 1.0, "name": None, "trains": None}
    ]
    assert record["monitors"][0]["every"] == "1 epoch"
    assert record["train"]["clip_grad_norm"] is None
    assert record["optimizer"]["betas"] == [0.9, 0.999]


def test_all_problems_are_told_at_once(config):
    config["energy"]["widht"] = 2
    config["sampler"]["step_size"] = -1
    config["chains"]["size"] = "many"
    config["train"]["batch_size"] = 0
    config["optimizer"]["type"] = "Adamm"
    config["trian"] = {}
    found = problems(config)
    assert set(found) == {
        "energy.widht",
        "sampler.step_size",
        "chains.size",
        "train.batch_size",
        "optimizer.type",
        "trian",
    }
    assert "Did you mean 'width'? Keys here: width, dropout" in found["energy.widht"].message
    assert found["sampler.step_size"].message == "should be greater than 0; got -1"
    assert found["chains.size"].message == 'should be a valid integer; got "many"'
    assert "Did you mean 'Adam'" in found["optimizer.type"].message
    assert "Did you mean 'train'?" in found["trian"].message


def test_a_key_written_twice_hides_no_other_mistake(config, tmp_path):
    file = tmp_path / "twice.yaml"
    config["energy"]["widht"] = 2
    file.write_text(json.dumps(config)[:-1] + ',\n"seed": 1,\n"seed": 2}')
    assert list(problems(file)) == ["seed", "energy.widht"]
    assert list(problems(file, **{"monitors.7.every": 2})) == ["seed", "monitors.7.every"]
    file.write_text("plugins: 3\nseed: 1\nseed: 2")
    assert list(problems(file)) == ["seed", "plugins"]


@pytest.mark.parametrize(
    ("place", "key", "near"),
    [
        ("", "epochs", "train.epochs"),
        ("", "learning_rate", "optimizer.lr"),
        ("", "model", "energy"),
        ("train", "learning_rate", "optimizer.lr"),
        ("train", "max_epochs", "epochs"),
        ("optimizer", "learning_rate", "lr"),
        ("sampler", "steps", "n_steps"),
        ("sampler", "stepsize", "step_size"),
        ("chains", "buffer_size", "size"),
    ],
)
def test_words_of_the_field_lead_to_keys(config, place, key, near):
    holder = config[place] if place else config
    holder[key] = 3
    where = f"{place}.{key}".strip(".")
    assert f"unknown key. Did you mean {near!r}? Keys here" in problems(config)[where].message


def test_an_unknown_component_names_the_near_ones(config):
    config["loss"]["type"] = "gapp"
    found = problems(config)["loss.type"]
    assert found.message.startswith("no loss 'gapp'. Did you mean 'gap'?")


def test_an_unknown_component_of_ours_names_the_command(config):
    config["plugins"]["disable"] = ["ebmcore-langevin"]
    config["sampler"] = {"type": "langevin"}
    message = problems(config)["sampler.type"].message
    assert "pip install ebmcore-langevin" in message or "is blocked" in message


@pytest.mark.parametrize("absent", [True, False])
def test_a_loss_of_samples_needs_a_sampler_and_chains(config, absent):
    for key in ("sampler", "chains"):
        config[key] = None
        if absent:
            del config[key]
    found = problems(config)
    for key in ("sampler", "chains"):
        assert "loss 'gap' asks for 'x_neg', so it needs one" in found[key].message


def test_a_loss_that_needs_no_samples_needs_no_sampler(config):
    del config["sampler"], config["chains"], config["monitors"]
    config["loss"] = "parts:offset"
    assert prepare(config).config.sampler is None


@pytest.mark.parametrize("given", [{"epochs": 1, "steps": 2}, {}])
def test_epochs_or_steps(config, given):
    config["train"] = given
    assert "give either epochs or steps" in problems(config)["train"].message


@pytest.mark.parametrize("key", ["data", "energy", "loss", "train"])
@pytest.mark.parametrize("gone", [True, False])
def test_what_every_config_must_have(config, key, gone):
    config[key] = None
    if gone:
        del config[key]
    found = problems(config)[key].message
    assert found.startswith("missing" if gone else ("is empty", "should be a mapping"))


@pytest.mark.parametrize("key", ["sampler", "optimizer", "lr_scheduler", "monitors", "tracking"])
def test_what_may_be_left_empty(config, key):
    config["loss"], config[key] = "parts:offset", None
    assert prepare(config).config.optimizer.type == "Adam"


def test_two_losses_of_one_name_are_refused(config):
    config["loss"] = ["parts:gap", {"type": "parts:gap", "weight": 2}]
    assert "give one another `name`" in problems(config)["loss.1"].message
    config["loss"][1]["name"] = "second"
    assert [n.name for n in prepare(config).config.losses] == ["gap", "second"]


def test_a_whole_number_may_be_written_with_an_exponent(config):
    config["data"]["n"] = 1e2
    assert prepare(config).config.data.values["n"] == 100
    config["data"]["n"] = 1.5
    assert "valid integer; got 1.5" in problems(config)["data.n"].message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(config, value):
    config["sampler"]["step_size"] = value
    assert "finite number" in problems(config)["sampler.step_size"].message


def test_a_cadence_is_read(config):
    config["monitors"][0]["every"] = "3 weeks"
    assert "'20 epochs', '500 steps' or 'end'" in problems(config)["monitors.0.every"].message


def test_tracking_off_in_either_spelling(config):
    for value in ("off", False):
        config["tracking"] = value
        assert prepare(config).config.tracking == ()
    config["tracking"] = {"experiment": "x"}
    (node,) = prepare(config).config.tracking
    assert (node.type, node.values["experiment"]) == ("mlflow", "x")


def test_torchs_own_refusal_names_the_place(config):
    config["optimizer"] = {"type": "SGD", "lr": -1}
    with pytest.raises(ConfigError, match=r"optimizer: Invalid learning rate: -1"):
        compose(*prepare(config)).assemble()


def test_initial_weights_come_from_the_seed_alone(config):
    torch.manual_seed(1)
    one = compose(*prepare(config)).energy.weight
    torch.manual_seed(2)
    state = torch.get_rng_state()
    two = compose(*prepare(config)).energy.weight
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), state)
    other = compose(*prepare(config, {"seed": 4})).energy.weight
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("section", "value"),
    [("optimizer", False), ("optimizer", {}), ("plugins", []), ("tracking", []), ("tracking", 0)],
)
def test_what_is_empty_but_not_null_is_no_default(config, section, value):
    config[section] = value
    assert "should be a mapping" in problems(config)[section].message


def test_keys_without_a_type_say_what_to_add(config):
    config["lr_scheduler"] = {"gamma": 0.9}
    message = problems(config)["lr_scheduler"].message
    assert message == "has no `type`; add `type: NAME` with the name of a component"


MONITORS = """
from ebmcore import monitor

def made(value):
    class odd:
        every = value
        def __call__(self, view):
            return {{}}
    return odd

odd = monitor(made({value}))
"""


@pytest.mark.parametrize("value", ["5", "'nonsense'", "None", "property(lambda self: '1 step')"])
def test_a_monitor_whose_own_cadence_is_none_is_refused(config, tmp_path, value):
    file = tmp_path / "odd_monitors.py"
    file.write_text(MONITORS.format(value=value))
    config["plugins"]["files"].append(str(file))
    config["monitors"] = [{"type": "odd"}]
    message = problems(config)["monitors.0.every"].message
    assert message.startswith("the own `every` of odd should be a cadence such as '20 epochs'")
    config["monitors"] = [{"type": "odd", "every": "end"}]
    assert prepare(config).config.monitors[0].options["every"] == "end"


EXITS = """
import sys
from torch import nn
from ebmcore import dataset, energy

@energy
class leaves(nn.Module):
    def __init__(self):
        sys.exit()

@dataset
class away:
    def __call__(self):
        sys.exit()

    def __len__(self):
        sys.exit()

class Raises(type(nn.Module)):
    @property
    def revision(cls):
        raise RuntimeError("no revision")

@energy
class unversioned(nn.Module, metaclass=Raises):
    def __init__(self, event_shape):
        super().__init__()
        self.inner = nn.Linear(*event_shape, 1)

    def forward(self, x):
        return self.inner(x)[:, 0]
"""


@pytest.fixture
def odd_parts(config, tmp_path):
    file = tmp_path / "exits.py"
    file.write_text(EXITS)
    config["plugins"]["files"].append(str(file))
    return config


@pytest.mark.parametrize(
    ("section", "name", "error"),
    [("energy", "leaves", PluginError), ("data", "away", ConfigError)],
)
def test_a_part_that_exits_does_not_end_the_command_well(odd_parts, section, name, error):
    odd_parts[section] = name
    with pytest.raises(error, match=f"{name}.*SystemExit"):
        compose(*prepare(odd_parts))


def test_a_revision_that_raises_is_none(odd_parts):
    odd_parts["energy"] = "unversioned"
    components = compose(*prepare(odd_parts)).origin.components
    assert {c["path"]: c["revision"] for c in components}["energy"] is None
