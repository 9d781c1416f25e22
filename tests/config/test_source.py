"""Configs from files, mappings and overrides, with the line where each key stands."""

import pytest

from ebmcore import ConfigError
from ebmcore.config import apply_overrides, read_config
from ebmcore.config.source import parse_assignments
from ebmcore.runner.api import prepare


def test_problems_name_the_line(tmp_path, config):
    file = tmp_path / "c.yaml"
    file.write_text(
        "data: {type: line}\nenergy:\n  type: bowl\n  width: wide\n"
        "loss: offset\ntrain: {epochs: 1}\n"
    )
    with pytest.raises(ConfigError) as caught:
        prepare(file, plugins=config["plugins"]["files"])
    assert str(caught.value) == f'{file}:4 energy.width: should be a valid number; got "wide"'


def test_overrides_make_and_reach_places(config):
    source = read_config(config)
    given = {
        "train.epochs": 5,
        "lr_scheduler.type": "ExponentialLR",
        "monitors.0.every": "5 epochs",
        "monitors.parts:looks.name": "view",
        "monitors.0": {"type": "warns"},
    }
    tree = apply_overrides(source, given).tree
    assert tree["train"]["epochs"] == 5
    assert tree["lr_scheduler"] == {"type": "ExponentialLR"}
    assert tree["monitors"] == [{"type": "warns"}]
    assert source.tree == config  # the source itself is as it was


@pytest.mark.parametrize("absent", [True, False])
def test_an_override_of_an_absent_optimizer_sets_the_default(config, absent):
    config.pop("optimizer") if absent else config.update(optimizer=None)
    base = read_config(config)
    source = apply_overrides(base, {"optimizer.lr": 0.5})
    assert source.tree["optimizer"] == {"type": "Adam", "lr": 0.5}
    other = apply_overrides(base, {"optimizer.lr": 0.5, "optimizer.type": "SGD"})
    assert other.tree["optimizer"] == {"type": "SGD", "lr": 0.5}


def test_an_override_of_loss_speaks_of_the_first_entry(config):
    config["loss"] = [{"type": "gap"}, {"type": "size", "weight": 0.1}]
    tree = apply_overrides(read_config(config), {"loss.type": "x", "loss.size.weight": 1}).tree
    assert tree["loss"] == [{"type": "x"}, {"type": "size", "weight": 1}]


def test_an_override_into_a_reference_names_the_part(config):
    config["parts"] = {"a": "parts:bowl"}
    config["energy"] = {"type": "total", "terms": ["@a", "@energy"]}
    for entry, meant in ((0, "parts.a.width"), (1, "energy.width")):
        with pytest.raises(ConfigError, match=rf"is the reference '@\w+'; set {meant}$"):
            apply_overrides(read_config(config), {f"energy.terms.{entry}.width": 2})


def test_an_override_of_a_thousand_levels_is_refused(config):
    with pytest.raises(ConfigError, match="nested too deeply"):
        apply_overrides(read_config(config), {"a" + ".a" * 3000: 1})


def test_where_a_key_stands(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("name: x\nenergy:\n  type: bowl\n  5: 3\n  a.b: 1\nmonitors:\n  - looks\n")
    source = apply_overrides(read_config(file), {"optimiser.lr": 1e-3, "energy.width": 2})
    lines = {"energy.5": 4, "energy.a.b": 5, "monitors.0": 7, "energy.²": 2, "energy": 2}
    for path, line in lines.items():
        assert source.where(path) == f"{file}:{line}"
    for path in ("optimiser", "optimiser.lr", "energy.width"):
        assert source.where(path) == "override"


def test_an_override_turns_the_short_form_into_the_long_one(config):
    config["energy"] = "parts:bowl"
    tree = apply_overrides(read_config(config), {"energy.width": 2}).tree
    assert tree["energy"] == {"type": "parts:bowl", "width": 2}


@pytest.mark.parametrize(
    "dotted", ["monitors.7.every", "seed.x", "monitors.nobody.every", "monitors.².every"]
)
def test_an_override_of_no_place_is_refused(config, dotted):
    with pytest.raises(ConfigError, match=f"override {dotted}"):
        apply_overrides(read_config(config), {dotted: 1})


def test_assignments_are_yaml():
    found = parse_assignments(["a.b=1e-4", "c=[]", "d=off", "e=5 epochs", "f="])
    assert found == {"a.b": 1e-4, "c": [], "d": "off", "e": "5 epochs", "f": None}
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_assignments(["train.epochs"])


@pytest.mark.parametrize("text", ["", "- 1\n", "just words"])
def test_a_config_is_a_mapping(tmp_path, text):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="a config is a mapping"):
        read_config(file)


def test_no_such_file():
    with pytest.raises(ConfigError, match=r"nowhere.yaml: no such config file"):
        read_config("nowhere.yaml")
