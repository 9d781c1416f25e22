"""Keys of nested types: pydantic models, dataclasses and containers in each other."""

from __future__ import annotations

import typing
from dataclasses import dataclass

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, RootModel

from ebmcore import Kernel, PositiveFloat, RunView, Transform
from ebmcore.config import nested
from ebmcore.config.values.check import check
from ebmcore.config.values.names import json_schema
from ebmcore.config.values.signature import Parameter, component_parameters


class Inner(BaseModel):
    low: float
    high: PositiveFloat = 1.0


class Outer(BaseModel):
    inner: Inner
    many: list[Inner] = []


def test_pydantic_models_in_each_other():
    def part(*, outer: Outer, either: Inner | None = None) -> None:
        """Do."""

    keys = component_parameters(part)
    good = {"outer": {"inner": {"low": 0}, "many": [{"low": 1, "high": 2}]}}
    checked = check(keys, good)
    assert not checked.faults
    assert checked.values["outer"].many[0].high == 2.0
    assert checked.record["outer"]["inner"] == {"low": 0.0, "high": 1.0}
    bad = {"outer": {"inner": {"low": "x"}, "many": [{"low": 1, "high": -2}, {}]}, "either": {}}
    faults = dict(check(keys, bad).faults)
    assert set(faults) == {"outer.inner.low", "outer.many.0.high", "outer.many.1.low", "either.low"}
    assert "greater than 0; got -2" in faults["outer.many.0.high"]
    schema = json_schema(keys, "part", "")
    assert schema["$defs"]["Inner"]["properties"]["high"]["exclusiveMinimum"] == 0


class Tolerant(BaseModel):
    model_config = ConfigDict(extra="ignore")
    a: int


class Pairs(RootModel[list[Inner]]):
    pass


@dataclass
class Plain:
    inner: Inner


@pytest.mark.parametrize(
    ("annotation", "given", "place"),
    [
        (Inner, {"low": 1, "hihg": 2}, "k.hihg"),
        (Outer, {"inner": {"low": 1, "zz": 2}}, "k.inner.zz"),
        (Outer, {"inner": {"low": 1}, "many": [{"low": 1}, {"low": 1, "zz": 2}]}, "k.many.1.zz"),
        (dict[str, Inner], {"x": {"low": 1, "zz": 2}}, "k.x.zz"),
        (Plain, {"inner": {"low": 1, "zz": 2}}, "k.inner.zz"),
        (Pairs, [{"low": 1, "zz": 2}], "k.0.zz"),
        (Inner | None, {"low": 1, "zz": 2}, "k.zz"),
    ],
    ids=["model", "in a model", "in a list", "in a mapping", "dataclass", "root", "union"],
)
def test_an_unknown_key_in_a_nested_model_is_refused(annotation, given, place):
    keys = [Parameter("k", annotation)]
    faults = dict(check(keys, {"k": given}).faults)
    assert list(faults) == [place]
    assert faults[place].startswith("unknown key.")
    assert not jsonschema.Draft202012Validator(json_schema(keys, "", "")).is_valid({"k": given})


def test_a_model_that_says_itself_what_is_extra_is_left_alone():
    keys = [Parameter("k", Tolerant)]
    assert not check(keys, {"k": {"a": 1, "zz": 2}}).faults
    assert jsonschema.Draft202012Validator(json_schema(keys, "", "")).is_valid(
        {"k": {"a": 1, "zz": 2}}
    )


@pytest.mark.parametrize("annotation", [typing.Callable, typing.Callable[..., int]], ids=str)
def test_a_function_of_no_stated_kind_is_no_component(annotation):
    assert nested(annotation) is None


def test_a_function_of_a_view_is_a_monitor():
    assert nested(typing.Callable[[RunView], typing.Mapping[str, float]] | None).kind == "monitor"
    assert nested(list[typing.Callable[[RunView], dict[str, float]]]).many is True
    assert nested(typing.Callable[[RunView, int], float]) is None


def test_a_key_may_take_one_component_or_a_list():
    both = nested(Transform | list[Transform] | None)
    assert (both.kind, both.many, both.or_one) == ("transform", True, True)
    assert nested(list[Transform]).or_one is False
    assert nested(Transform).many is False
    assert nested(Transform | list[Kernel]) is None
