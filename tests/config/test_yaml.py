"""YAML as people mean it, with the line of every key."""

import pytest

from ebmcore import ConfigError
from ebmcore.config import parse_config
from ebmcore.config.yaml import parse, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.0e-4", 1e-4),
        ("-2E3", -2000.0),
        (".5", 0.5),
        ("3", 3),
        ("-3", -3),
        ("1_000", 1000),
        ("0x1f", 31),
        ("010", "010"),
        ("off", "off"),
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("1:30", "1:30"),
        ("2026-01-02", "2026-01-02"),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", float("inf")),
        ("'5'", "5"),
        ("5 epochs", "5 epochs"),
        ("[1, 2.5, x]", [1, 2.5, "x"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("e5", "e5"),
        ("1e", "1e"),
    ],
)
def test_scalars(text, value):
    found = parse_value(text, "override x")
    assert found == value
    assert type(found) is type(value)


def test_lines_of_keys_and_entries():
    document = parse("a:\n  b: 1\nlist:\n  - x: 1\n  -\n    x: 2\n", "c.yaml")
    assert document.lines[("a", "b")] == 2
    assert document.lines[("list", 1, "x")] == 6


def test_merge_keys():
    assert parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", "c.yaml").value["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: [1,\nb: 2\n", "c.yaml:3:1"), ("a: 1\n b: 2\n", "c.yaml:2:3"), ("a: @x\n", "c.yaml:1:4")],
)
def test_broken_yaml_names_line_and_column(text, place):
    with pytest.raises(ConfigError, match="broken YAML") as caught:
        parse(text, "c.yaml")
    assert str(caught.value).startswith(place)


def test_a_key_written_twice_is_told_of():
    document = parse("a:\n  x: 1\n  x: 2\n  x: 3\nb: 1\nb: {c: 1, c: 2}", "c.yaml")
    assert document.value == {"a": {"x": 3}, "b": {"c": 2}}
    assert [str(problem) for problem in document.repeats] == [
        "c.yaml:3 a.x: written twice, first in line 2; keep one",
        "c.yaml:4 a.x: written twice, first in line 2; keep one",
        "c.yaml:6 b: written twice, first in line 5; keep one",
        "c.yaml:6 b.c: written twice, first in line 6; keep one",
    ]
    with pytest.raises(ConfigError, match="override lr:1 a: written twice"):
        parse_value("{a: 1, a: 2}", "override lr")
    with pytest.raises(ConfigError, match=r"c.yaml:2 a: written twice"):
        parse_config("a: 1\na: 2", "c.yaml")


def test_no_python_object_is_made():
    with pytest.raises(ConfigError, match="broken YAML"):
        parse("a: !!python/object/apply:os.getcwd []", "c.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: !!int abc",
        "a: !!bool maybe",
        "? [a, b]\n: 1",
        "a: &x [*x]",
        "a: " + "[" * 3000,
        "a: " + "9" * 5000,
        'a: !!timestamp "abc"',
        "a: !!timestamp 2001-01-01",
        'a: !!int ""',
        'a: !!float ""',
        'a: !!binary "aGk="',
        "a: !!set {x, y}",
        "a: !!omap [x: 1]",
        "a: !!map x",
        "a: !!str [x]",
        r'a: "\ud800"',
        r'"\ud800": 1',
    ],
    ids=[
        *("int", "bool", "key", "cycle", "deep", "long", "timestamp", "date", "no int", "no float"),
        *("binary", "set", "omap", "map", "str", "surrogate", "surrogate key"),
    ],
)
def test_what_no_config_means_is_refused_in_a_message(text):
    with pytest.raises(ConfigError, match="broken YAML"):
        parse(text, "c.yaml")


@pytest.mark.parametrize(("text", "place"), [(r'a: "\ud800"', "1:4"), ("a: !!float ''", "1:4")])
def test_a_value_that_is_refused_is_named_by_its_place(text, place):
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.yaml")
    assert str(caught.value).startswith(f"c.yaml:{place}: broken YAML: ")


def bomb(start, link):
    """Nine anchors, each of which names the one before nine times."""
    lines = [f"a0: &a0 {start}"]
    for i in range(1, 10):
        lines.append(f"a{i}: &a{i} " + link.format(", ".join([f"*a{i - 1}"] * 9)))
    return "\n".join(lines)


def test_aliases_of_aliases_are_counted():
    with pytest.raises(ConfigError, match="more than 100,000 values"):
        parse(bomb("[x]", "[{}]"), "c.yaml")


def test_merges_of_merges_stay_small():
    value = parse(bomb("{x: 1}", "{{<<: [{}]}}"), "c.yaml").value
    assert value["a9"] == {"x": 1}
