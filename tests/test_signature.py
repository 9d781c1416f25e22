"""The schema from the signature."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from annotated_types import Ge, Le
from pydantic import BaseModel
from torch import Tensor

from ebmcore import PositiveFloat, Probability
from ebmcore.config.schema import check, json_schema, type_name
from ebmcore.config.signature import REQUIRED, component_parameters, describe, parameters

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
