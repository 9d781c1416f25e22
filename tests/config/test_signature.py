"""The schema from the signature."""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
import torch
from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator
from torch import Tensor

from ebmcore import PositiveFloat, Probability
from ebmcore.config.values.check import check
from ebmcore.config.values.names import json_schema, type_name
from ebmcore.config.values.signature import (
    REQUIRED,
    Parameter,
    component_parameters,
    describe,
    parameters,
)

if TYPE_CHECKING:
    from torch import Generator


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part:
    """A part.

    Its second paragraph.

    Args:
        size: How large,
            in two lines.
        share: What part.
        event_shape: (runtime) never a key.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        size: Annotated[int, Ge(1), Le(9)],
        *,
        share: Probability = 0.5,
        hidden: list[int] = [8],  # noqa: B006 (a default that must not be shared)
        mode: Literal["a", "b"] = "a",
        colour: Colour = Colour.RED,
        scale: float | Tensor = 1.0,
        pair: tuple[float, float] | None = None,
        schema: str = "s",
        json: int = 1,
        validate: bool = False,
        generator: Generator | None = None,
        **rest: int,
    ) -> None:
        self.size = size


def test_keys_are_the_constructors_parameters_without_the_slots():
    names = [p.name for p in component_parameters(Part)]
    assert names == [
        "size",
        "share",
        "hidden",
        "mode",
        "colour",
        "scale",
        "pair",
        "schema",
        "json",
        "validate",
    ]


def test_descriptions_come_from_the_docstring():
    by_name = {p.name: p for p in component_parameters(Part)}
    assert by_name["size"].description == "How large, in two lines."
    assert by_name["size"].default is REQUIRED
    assert describe(Part).text == "A part.\n\nIts second paragraph."
    assert describe(Part).summary == "A part."


def test_a_type_that_only_checkers_know_is_not_checked():
    def part(*, size: int, other: Unknown = 1) -> None:  # noqa: F821 (the point of the test)
        """Do."""

    checked = check(component_parameters(part), {"size": "x", "other": "anything"})
    assert dict(checked.faults).keys() == {"size"}


def test_a_functions_keys_are_keyword_only():
    def loss(energy: object, x: object, *, beta: PositiveFloat = 1.0, generator: object) -> None:
        """Do."""

    assert [p.name for p in component_parameters(loss)] == ["beta"]


def test_values_are_checked_and_recorded():
    checked = check(component_parameters(Part), {"size": 3, "colour": "blue", "pair": [0, 1]})
    assert not checked.faults
    assert checked.values["colour"] is Colour.BLUE
    assert checked.values["pair"] == (0.0, 1.0)
    assert checked.record["colour"] == "blue"
    assert checked.record["hidden"] == [8]


def test_signatures_that_are_equal_but_not_alike_are_told_apart():
    def whole(*, n: int | float = 1): ...

    def flag(*, n: float | int = True): ...

    records = [check(parameters(f), {}).record["n"] for f in (whole, flag, whole)]
    assert records == [1, 1, 1]
    assert [type(n) for n in records] == [int, bool, int]


def test_a_mutable_default_is_not_shared():
    one = check(component_parameters(Part), {"size": 3}).values["hidden"]
    one.append(9)
    assert check(component_parameters(Part), {"size": 3}).values["hidden"] == [8]


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        ({}, "size", "missing"),
        ({"size": 10}, "size", "should be less than or equal to 9; got 10"),
        ({"size": True}, "size", "should be a valid integer; got true"),
        ({"size": "3"}, "size", 'should be a valid integer; got "3"'),
        ({"size": 3, "share": 2}, "share", "less than or equal to 1"),
        ({"size": 3, "mode": "c"}, "mode", "should be 'a' or 'b'"),
        ({"size": 3, "hidden": [1, "x"]}, "hidden.1", "valid integer"),
        ({"size": 3, "pair": [1]}, "pair.1", "missing"),
        ({"size": 3, "scale": "big"}, "scale", "valid number"),
        ({"size": 3, "sise": 3}, "sise", "Did you mean 'size'?"),
        ({"size": 3, "validate": 1}, "validate", "valid boolean"),
    ],
)
def test_faults(given, place, message):
    faults = dict(check(component_parameters(Part), given).faults)
    assert list(faults) == [place]
    assert message in faults[place]


def test_a_dataclass_is_a_component_too():
    @dataclass
    class Data:
        """D."""

        sizes: list[int] = field(default_factory=lambda: [1, 2])

    assert check(parameters(Data), {}).values == {"sizes": [1, 2]}


def test_schema_has_titles_defaults_and_descriptions():
    schema = json_schema(component_parameters(Part), "part", "A part.")
    assert schema["required"] == ["size"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["size"]["maximum"] == 9
    assert schema["properties"]["size"]["description"] == "How large, in two lines."
    assert schema["properties"]["schema"]["default"] == "s"


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (PositiveFloat, "float > 0"),
        (Probability, "float ≥ 0 and ≤ 1"),
        (list[int], "list of int"),
        (Literal["a", "b"], "a | b"),
        (float | None, "float | null"),
        (bool, "true or false"),
    ],
)
def test_types_are_named_as_a_person_would(annotation, name):
    assert type_name(annotation) == name


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (float, None),
        (float, math.inf),
        (float, math.nan),
        (Annotated[float, Gt(0)], 0.0),
        (int, True),
        (torch.Size, torch.Size([1, 2])),
    ],
    ids=str,
)
def test_what_is_recorded_of_a_default_means_the_default(annotation, default):
    keys = [Parameter("k", annotation, default)]
    record = check(keys, {}).record
    again = check(keys, record)
    assert not again.faults
    assert type(again.values["k"]) is type(default)
    assert repr(again.values["k"]) == repr(default)
    assert repr(again.record) == repr(record)


def test_only_what_is_the_default_itself_is_let_through():
    assert check([Parameter("k", int, 1)], {"k": True}).faults
    assert check([Parameter("k", Annotated[float, Gt(0)], 0.0)], {"k": -1.0}).faults


def raises_key_error(value: str) -> str:
    return {}[value]


class Typed(typing.TypedDict):
    a: int


@pytest.mark.parametrize(
    "annotation",
    [Typed, Literal[()], typing.Required[int], typing.ClassVar[int], typing.Final[int]],
    ids=str,
)
def test_an_unknown_annotation_leaves_the_others_checked(annotation):
    keys = [Parameter("odd", annotation, None), Parameter("n", Annotated[int, Gt(0)], 1)]
    assert check(keys, {"odd": [1]}).values == {"odd": [1], "n": 1}
    assert [place for place, _ in check(keys, {"odd": 3, "n": 0}).faults] == ["n"]
    assert json_schema(keys, "part", "")["properties"]["n"]["exclusiveMinimum"] == 0
    assert isinstance(type_name(annotation), str)


@pytest.mark.parametrize(
    ("annotation", "raised"),
    [
        (Annotated[str, Gt(0)], "TypeError"),
        (Annotated[str, AfterValidator(raises_key_error)], "KeyError"),
    ],
    ids=["bound", "validator"],
)
def test_what_a_type_raises_is_a_fault_of_its_key(annotation, raised):
    keys = [Parameter("odd", annotation, ""), Parameter("n", int, 1)]
    faults = dict(check(keys, {"odd": "x", "n": "y"}).faults)
    assert set(faults) == {"odd", "n"}
    assert faults["odd"].startswith(f"can't be held against its type: {raised}")
    assert "n" in json_schema(keys, "part", "")["properties"]


def test_a_default_that_json_cannot_hold_is_left_out():
    keys = [Parameter("raw", bytes, b"\xff"), Parameter("n", int, 1)]
    assert check(keys, {}).values == {"raw": b"\xff", "n": 1}
    assert check(keys, {}).record == {"n": 1}
    assert "default" not in json_schema(keys, "part", "")["properties"]["raw"]


@pytest.mark.parametrize("value", ["\ud800", {1, 2}], ids=["surrogate", "set"])
def test_what_no_yaml_holds_is_a_fault_of_its_key(value):
    assert [at for at, _ in check([Parameter("k", typing.Any)], {"k": value}).faults] == ["k"]
