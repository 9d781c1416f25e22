"""Nodes in nodes, and nodes that others refer to."""

import jsonschema
import pytest
import torch

import ebmcore
from ebmcore import ConfigError
from ebmcore.config import clashes, config_schema
from ebmcore.runner.api import prepare
from ebmcore.runner.compose import compose
from support import COMPOSED


@pytest.fixture
def config(config):
    config["plugins"]["files"].append(str(COMPOSED))
    config["monitors"] = []
    config["loss"] = {"type": "offset"}
    return config


def problems(config):
    with pytest.raises(ConfigError) as caught:
        prepare(config)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_a_list_of_nodes(config):
    config["energy"] = {"type": "total", "terms": ["bowl", {"type": "bowl", "width": 3}],
                        "weights": [1, 0.5]}  # fmt: skip
    energy = compose(*prepare(config)).energy
    one, two = energy.terms
    assert one is not two
    x = torch.tensor([[1.0, 2.0]])
    torch.testing.assert_close(energy(x), one(x) + 0.5 * two(x))
    assert two.weight.min() >= 3


def test_nodes_in_nodes_in_nodes(config):
    inner = {"type": "scaled", "of": "bowl", "temperature": 2.0}
    config["energy"] = {"type": "scaled", "of": {"type": "total", "terms": [inner]}}
    energy = compose(*prepare(config)).energy
    assert energy.of.terms[0].temperature == 2.0


def test_a_reference_is_the_same_object_wherever_it_stands(config):
    config["parts"] = {"teacher": {"type": "bowl", "width": 2.0}}
    config["energy"] = {"type": "total", "terms": ["@teacher", "@teacher", "bowl"]}
    config["loss"] = {"type": "distance", "teacher": "@teacher", "other": "@energy"}
    experiment = compose(*prepare(config))
    one, two, three = experiment.energy.terms
    assert one is two is experiment.losses[0].function.teacher
    assert one is not three
    assert experiment.losses[0].function.other is experiment.energy


def test_a_main_node_may_be_a_reference(config):
    config["parts"] = {"net": "bowl"}
    config["energy"] = "@net"
    config["loss"] = {"type": "distance", "teacher": "@net"}
    experiment = compose(*prepare(config))
    assert experiment.energy is experiment.losses[0].function.teacher


def test_a_reference_may_stand_for_another(config):
    config["parts"] = {"a": "@b", "b": {"type": "bowl", "width": 2.0}}
    config["energy"] = "@a"
    config["loss"] = {"type": "distance", "teacher": "@b", "other": "@energy"}
    experiment = compose(*prepare(config))
    assert experiment.energy is experiment.losses[0].function.teacher
    assert experiment.energy is experiment.losses[0].function.other
    record = prepare(config).config.record
    assert (record["energy"], record["parts"]["a"]) == ("@a", "@b")
    assert prepare(record).config.record == record


def test_a_part_may_have_the_name_of_a_main_node_that_is_absent(config):
    del config["sampler"], config["chains"]
    config["parts"] = {"sampler": "bowl"}
    config["energy"] = "@sampler"
    assert prepare(config).config.energy.path == "parts.sampler"


def test_a_list_of_nodes_may_have_a_default(config, tmp_path):
    file = tmp_path / "optional.py"
    file.write_text(OPTIONAL)
    config["plugins"]["files"].append(str(file))
    for terms in ({}, {"terms": None}, {"terms": []}):
        config["energy"] = {"type": "sums", **terms}
        assert len(compose(*prepare(config)).energy.terms) == 0
        record = prepare(config).config.record
        assert prepare(record).config.record == record


OPTIONAL = """
from torch import nn
from ebmcore import Energy, energy

@energy
class sums(nn.Module):
    def __init__(self, terms: list[Energy] = []):
        super().__init__()
        self.terms = terms
"""


def test_the_record_repeats_the_run(config):
    config["parts"] = {"teacher": {"type": "bowl", "width": 2.0}}
    config["energy"] = {"type": "total", "terms": ["bowl", {"type": "scaled", "of": "bowl"}]}
    config["loss"] = {"type": "distance", "teacher": "@teacher"}
    record = prepare(config).config.record
    assert record["loss"][0]["teacher"] == "@teacher"
    assert record["energy"]["terms"][1]["of"] == {"type": "bowl", "width": 1.0, "dropout": 0.0}
    one = ebmcore.run(config, progress=False)
    two = ebmcore.run(one.dir / "config.yaml", progress=False)
    weights = (run.energy.state_dict().values() for run in (one, two))
    assert all(map(torch.equal, *weights))
    loaded = ebmcore.load(one.dir, plugins=config["plugins"]["files"])
    x = torch.randn(3, 2)
    assert torch.equal(one.energy(x), loaded.energy(x))


def test_revisions_and_places_are_recorded(config):
    import json

    config["energy"] = {"type": "total", "terms": ["bowl"]}
    run = ebmcore.run(config, progress=False)
    facts = json.loads((run.dir / "run.json").read_text())
    found = {c["path"]: (c["component"], c["revision"]) for c in facts["components"]}
    assert found["energy"] == ("composed_parts:total", "7")
    assert found["energy.terms.0"] == ("parts:bowl", None)
    assert facts["hooks"]["ebmcore_run_start"] == ["parts"]


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"energy": "@nobody"}, "energy", "there is no '@nobody' to refer to; there are: @data"),
        (
            {"energy": {"type": "total", "terms": ["@energy"]}},
            "energy.terms.0",
            "refers to itself: energy -> energy",
        ),
        (
            {"parts": {"a": {"type": "scaled", "of": "@b"}, "b": {"type": "scaled", "of": "@a"}},
             "energy": "@a"},
            "parts.b.of",
            "'@a' refers to itself: parts.a -> parts.b -> parts.a",
        ),
        ({"energy": "@energy"}, "energy", "'@energy' refers to itself: energy -> energy"),
        (
            {"energy": "@a", "parts": {"a": "@b", "b": "@a"}},
            "parts.b",
            "'@a' refers to itself: parts.a -> parts.b -> parts.a",
        ),
        ({"energy": "@sampler", "sampler": "@energy"}, "sampler", "energy -> sampler -> energy"),
        ({"parts": {"a": "bowl"}}, "parts.a", 'nothing refers to it; write "@a"'),
        ({"energy": {"type": "scaled", "of": "@sampler"}}, "energy.of", "of kind sampler; here"),
        ({"energy": {"type": "total", "terms": "bowl"}}, "energy.terms", "should be a list of"),
        ({"energy": {"type": "total"}}, "energy.terms", "missing; it takes a list of energy"),
        (
            {"energy": {"type": "total", "terms": [{"type": "bowl", "widht": 1}]}},
            "energy.terms.0.widht",
            "Did you mean 'width'?",
        ),
        ({"energy": {"type": "scaled", "of": {"type": "bowll"}}}, "energy.of.type", "no energy"),
        ({"parts": ["bowl"]}, "parts", "should be a mapping of names to nodes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(config, change, path, message):
    found = problems({**config, **change})
    assert message in found[path]


def test_the_schema_knows_nodes_in_nodes(config):
    schema = config_schema(prepare(config).host)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    config["parts"] = {"teacher": "bowl"}
    config["energy"] = {"type": "total", "terms": ["bowl", {"type": "scaled", "of": "@teacher"}]}
    validator.validate(config)
    validator.validate(prepare(config).config.record)
    config["energy"]["terms"].append({"type": "scaled", "of": {"type": "bowl", "widht": 1}})
    assert not validator.is_valid(config)


MODELS = """
from dataclasses import dataclass
from enum import Enum
from pydantic import BaseModel
from torch import nn
from ebmcore import energy

class Colour(Enum):
    RED = "red"

class Inner(BaseModel):
    low: float

class Outer(BaseModel):
    default: Inner
    more: list["Outer"] = []

@dataclass
class Flat:
    n: int

@energy
class shaped(nn.Module):
    def __init__(self, outer: Outer, *, colour: Colour = Colour.RED, discriminator: Flat = Flat(1)):
        super().__init__()

@energy
class clashing(nn.Module):
    def __init__(self, *, type: str = "x"):
        super().__init__()
"""


def test_the_schema_knows_enums_and_models_wherever_they_stand(config, tmp_path):
    file = tmp_path / "models.py"
    file.write_text(MODELS)
    config["plugins"]["files"].append(str(file))
    schema = config_schema(prepare(config).host)
    validator = jsonschema.Draft202012Validator(schema)
    outer = {"default": {"low": 1}, "more": [{"default": {"low": 2}}]}
    good = {"type": "shaped", "outer": outer, "colour": "red", "discriminator": {"n": 2}}
    bad = (
        {**good, "colour": "blue"},
        {**good, "outer": {"default": {"low": "x"}}},
        {**good, "outer": {"default": {"low": 1}, "more": [{"default": {"low": "x"}}]}},
        {**good, "outer": {"default": {"low": 1, "hihg": 1}}},
        {**good, "discriminator": {"n": "x"}},
    )
    for wrap in (lambda node: node, lambda node: {"type": "scaled", "of": node}):
        validator.validate({**config, "energy": wrap(good)})
        prepare({**config, "energy": wrap(good)})
        for given in bad:
            assert not validator.is_valid({**config, "energy": wrap(given)})
            assert problems({**config, "energy": wrap(given)})


def test_a_part_with_a_core_key_as_parameter_is_in_no_schema(config, tmp_path):
    file = tmp_path / "models.py"
    file.write_text(MODELS)
    config["plugins"]["files"].append(str(file))
    host = prepare(config).host
    assert clashes("energy", host.find("energy", "clashing").load()) == {"type"}
    assert "models:clashing" not in str(config_schema(host))
    message = problems({**config, "energy": "clashing"})["energy"]
    assert message == "clashing has a parameter 'type', which is the core's own key"
