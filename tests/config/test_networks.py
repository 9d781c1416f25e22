"""The sections `networks` and `optimizers` of a config, and the key `trains` of a loss."""

from pathlib import Path

import jsonschema
import pytest
import torch

import ebmcore
from ebmcore import ConfigError
from ebmcore.config import config_schema
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from support import HARD
from support.runs import go


@pytest.fixture
def config(config):
    config["plugins"]["files"].append(str(HARD))
    config["monitors"] = []
    config["networks"] = {"shift": "shifts"}
    config["loss"] = [{"type": "gap"}, {"type": "follows"}]
    return config


def problems(config):
    with pytest.raises(ConfigError) as caught:
        prepare(config)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_a_good_one_is_recorded_and_fits_the_schema(config):
    config["optimizers"] = {"shift": {"type": "SGD", "lr": 0.5}}
    prepared = prepare(config)
    record = prepared.config.record
    assert record["networks"] == {"shift": {"type": "shifts"}}
    assert record["optimizers"]["shift"]["lr"] == 0.5
    schema = config_schema(prepared.host)
    jsonschema.validate(config, schema)
    jsonschema.validate({**config, "networks": None, "optimizers": None}, schema)
    for wrong in ({"networks": {"two words": "shifts"}}, {"networks": {"a": {"type": "shift"}}},
                  {"optimizers": {"shift": {"type": "SDG"}}}):  # fmt: skip
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**config, **wrong}, schema)


def test_without_the_section_nothing_of_it_is_recorded(config):
    del config["networks"], config["loss"][1]
    assert not {"networks", "optimizers"} & prepare(config).config.record.keys()


def test_every_problem_is_told_at_once_with_near_misses(config):
    config["networks"] = {"shift": "shifts", "generator": "shifts", "other": "shift"}
    config["optimizers"] = {"shfit": "Adam", "energy": "Adam"}
    config["loss"] = [
        {"type": "gap", "trains": ["energy", "shft"]},
        {"type": "critic", "trains": []},
        {"type": "follows"},
    ]
    found = problems(config)
    assert found["networks.generator"] == (
        "losses get their random stream as 'generator'; give the network another name, such as "
        "'proposer'"
    )
    assert "Did you mean 'shifts'?" in found["networks.other.type"]
    assert "no such network; did you mean 'shift'?" in found["optimizers.shfit"]
    assert "the energy's is the section `optimizer`" in found["optimizers.energy"]
    assert "no network 'shft' to train; did you mean 'shift'?" in found["loss.0.trains"]
    assert "is empty" in found["loss.1.trains"]
    for section in ("networks", "optimizers"):
        assert "should be a mapping of names" in problems({**config, section: ["shifts"]})[section]


def test_a_slot_that_is_no_network_lists_both(config):
    config["networks"] = {"shfit": "shifts"}
    message = problems(config)["loss.1.type"]
    assert "asks for 'shift', which is no slot and no network" in message
    assert "networks: shfit. Did you mean 'shfit'?" in message


def test_trains_in_a_config_stands_over_the_losses_own(config):
    config["loss"][1]["trains"] = ["energy", "shift"]
    gap, follows = compose(*prepare(config)).losses
    assert gap.trains == ("energy",)
    assert follows.trains == ("energy", "shift")
    config["loss"][1]["trains"] = "energy"
    assert compose(*prepare(config)).losses[1].trains == ("energy",)


def test_a_run_of_a_config_is_opened_with_its_networks(config):
    run = go(config)
    assert run.metrics["train/shift/grad_norm"] > 0
    loaded = ebmcore.load(run.dir, plugins=config["plugins"]["files"])
    assert loaded.networks.keys() == run.networks.keys() == {"shift"}
    for name, value in run.networks["shift"].state_dict().items():
        assert torch.equal(loaded.networks["shift"].state_dict()[name], value)


def test_networks_are_handed_to_no_monitor_dataset_or_energy(config):
    config["plugins"]["files"].append("asks.py")
    Path("asks.py").write_text(
        "from ebmcore import monitor\n\n@monitor\nclass asks:\n"
        "    def __init__(self, networks): ...\n    def __call__(self, view): return {}\n"
    )
    config["monitors"] = ["asks"]
    with pytest.raises(ConfigError, match="networks, which is handed to losses, samplers and ch"):
        compose(*prepare(config))


def test_a_dry_run_takes_a_step_with_networks(config):
    size = compose(*prepare(config), device="meta").dry_run(prepare(config).config.train)
    assert size["parameters"] == 4
