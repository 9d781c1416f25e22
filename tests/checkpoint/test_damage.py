"""Damaged checkpoints: a run resumes and loads from the one before."""

import json

import pytest

import ebmcore
from ebmcore import EbmError
from support.runs import assert_same, cut, go, resume


def test_a_torn_line_and_later_lines_are_written_again(config):
    config["train"]["steps"] = 40
    whole = go(config)
    part = cut(whole, 33)
    metrics = part / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes()[:-9])
    (part / "events.jsonl").write_text('{"step": 9, "ti')
    (part / "checkpoints" / ".step-00000040.part").mkdir()
    assert_same(whole.dir, resume(part, config).dir)
    assert not list((part / "checkpoints").glob(".*"))
    _, event = (part / "events.jsonl").read_text().splitlines()
    assert json.loads(event)["event"] == "resumed"


def damage_bytes(place):
    file = place / "state.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def damage_length(place):
    file = place / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def damage_manifest(place):
    file = place / "manifest.json"
    file.write_bytes(file.read_bytes()[:40])


def damage_missing(place):
    (place / "chains.safetensors").unlink()


@pytest.mark.parametrize("damage", [damage_bytes, damage_length, damage_manifest, damage_missing])
def test_an_altered_checkpoint_is_passed_over(config, damage):
    config["train"]["steps"] = 40
    whole = go(config)
    part = cut(whole, 33)
    damage(part / "checkpoints" / "step-00000033")
    resumed = resume(part, config)
    (warning,) = [text for text in resumed.warnings if "is used instead" in text]
    assert "step-00000033" in warning
    assert warning.endswith("step-00000022 is used instead")
    assert_same(whole.dir, resumed.dir)


def test_load_passes_over_an_altered_checkpoint_too(config):
    config["train"]["steps"] = 40
    run = go(config)
    damage_bytes(run.dir / "checkpoints" / "step-00000040")
    loaded = ebmcore.load(run.dir, plugins=config["plugins"]["files"])
    assert loaded.step == 33
    (doubt,) = loaded.skipped_checkpoints
    assert doubt.endswith("step-00000033 is used instead")
    assert ebmcore.load(run.dir, plugins=config["plugins"]["files"], checkpoint=22).step == 22
    with pytest.raises(EbmError, match="no checkpoint of step 5; there are: 22, 33, 40"):
        ebmcore.load(run.dir, plugins=config["plugins"]["files"], checkpoint=5)
