"""The environment of ranks, and configs that several ranks refuse."""

import re
from pathlib import Path

import pytest
import yaml

RIGHT = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "RANK": "0", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("train", "batch_size", 21, r"train.batch_size: should be divisible by the 2 ranks, .*21"),
        ("loss", 3, {"type": "nothing"}, r"no loss 'nothing'"),
    ],
)
def test_a_config_is_refused_once_and_for_all_ranks(run, config, section, key, value, message):
    config[section][key] = value
    ended = run(2, config)
    assert ended.codes == [2, 2]
    assert len(re.findall(message, ended.text)) == 1, ended.text
    assert "Traceback" not in ended.text
    assert not list(Path("runs").glob("*"))


@pytest.mark.plugins
def test_chains_without_equal_shares_are_refused(run, config):
    config["chains"] = {"type": "persistent", "size": 61}
    ended = run(2, config)
    assert ended.codes == [2, 2]
    assert "size should be divisible by the 2 ranks" in ended.text


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RANK", "5", "RANK: should be below WORLD_SIZE, 2; got 5"),
        ("MASTER_PORT", "0", "MASTER_PORT: should be a whole number of at least 1; got '0'"),
        ("WORLD_SIZE", "two", "WORLD_SIZE: should be a whole number of at least 1; got 'two'"),
    ],
)
def test_a_wrong_environment_is_refused(ebmcore_command, config, monkeypatch, name, value, message):
    for variable, text in {**RIGHT, name: value}.items():
        monkeypatch.setenv(variable, text)
    Path("c.yaml").write_text(yaml.safe_dump(config))
    done = ebmcore_command("run", "c.yaml")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.plugins
@pytest.mark.parametrize("command", [("run", "c.yaml", "--seeds", "2"), ("sweep", "s.yaml")])
def test_what_one_process_begins_is_refused_on_several_ranks(
    ebmcore_command, config, monkeypatch, command
):
    Path("c.yaml").write_text(yaml.safe_dump(config))
    Path("s.yaml").write_text("base: c.yaml\n")
    for key, text in RIGHT.items():
        monkeypatch.setenv(key, text)
    done = ebmcore_command(*command)
    assert done.returncode == 2
    assert "can't run under torchrun (WORLD_SIZE=2); start one process" in done.stderr
    assert not Path("runs").exists()
