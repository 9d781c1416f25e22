"""The section `tracking` in all its forms: what is read, what is recorded, what is refused."""

import jsonschema
import pytest

from ebmcore import ConfigError
from ebmcore.config import Source, Tracking, config_schema, validate
from ebmcore.runner.api import prepare
from ebmcore.trackers import MLflow, as_trackers, mlflow_keys, other_trackers, with_mlflow_keys
from ebmcore.trackers.entry import described_trackers
from ebmcore.trackers.keys import mlflow_uris
from support.tracking import Table

KEYS = {
    "experiment": None,
    "uri": None,
    "tags": {},
    "register": None,
    "checkpoints": "weights",
    "input_example": True,
}
TABLE = {"type": "table", "file": "x.db", "name": None}
PLUGIN = """
import ebmcore

@ebmcore.tracker
class table(ebmcore.Tracker):
    def __init__(self, *, file: str):
        self.file = file

@ebmcore.tracker
class nothing:
    pass
"""


@pytest.fixture(scope="module")
def read(make_config, tmp_path_factory):
    """Return a function that validates a config with this `tracking`."""
    plugin = tmp_path_factory.mktemp("plugin") / "tables.py"
    plugin.write_text(PLUGIN)
    config = make_config()
    config["plugins"]["files"].append(str(plugin))
    host = prepare(config).host

    def read(given):
        tree = {**config, "tracking": given}
        if given is not None:
            jsonschema.Draft202012Validator(schema).validate(tree)
        return validate(Source(tree), host)

    schema = config_schema(host)
    read.host, read.config = host, config
    return read


@pytest.mark.parametrize(
    ("given", "names", "record"),
    [
        (None, ["mlflow"], KEYS),
        ({}, ["mlflow"], KEYS),
        ({"experiment": "x"}, ["mlflow"], {**KEYS, "experiment": "x"}),
        ("off", [], "off"),
        (False, [], "off"),
        ("mlflow", ["mlflow"], {"type": "mlflow", **KEYS, "tags": None, "name": None}),
        ({"type": "table", "file": "x.db"}, ["table"], TABLE),
        ([{"type": "table", "file": "x.db"}], ["table"], [TABLE]),
        (
            ["mlflow", {**TABLE, "name": "a"}, {**TABLE, "name": "b"}],
            ["mlflow", "a", "b"],
            [
                {"type": "mlflow", **KEYS, "tags": None, "name": None},
                {**TABLE, "name": "a"},
                {**TABLE, "name": "b"},
            ],
        ),
    ],
)
def test_tracking_in_every_form(read, given, names, record):
    for written in (given, record):  # a run records the second, which repeats the run
        config = read(written)
        assert [entry.name for entry in as_trackers(config.tracking)] == names
        assert config.record["tracking"] == record


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("tabel", r"tracking\.type: no tracker 'tabel'\. Did you mean 'table'\?"),
        ({"type": "table", "fil": "x"}, r"tracking\.fil: .*'file'"),
        ([{"type": "table"}], r"tracking\.0\.file: missing"),
        (["mlflow", {"uri": "x"}], r"tracking\.1: has no `type`"),
        ([], r"tracking: should be a mapping"),
    ],
)
def test_a_mistake_in_tracking_is_named(read, given, message):
    with pytest.raises(jsonschema.ValidationError):
        read(given)
    with pytest.raises(ConfigError, match=message):
        validate(Source({**read.config, "tracking": given}), read.host)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nothing", "makes nothing, not an ebmcore.Tracker"),
        ({"type": "table", "file": "x", "name": "mlflow"}, "run.json has 'mlflow' for MLflow"),
        ({"type": "mlflow", "name": "x"}, "run.json has 'mlflow' for MLflow"),
    ],
)
def test_a_tracker_that_can_not_be_built_is_refused(read, given, message):
    with pytest.raises(ConfigError, match=message):
        as_trackers(read(given).tracking)


def test_two_trackers_of_one_name_are_refused(read):
    with pytest.raises(ConfigError, match=r"tracking\.1: 'mlflow' is at tracking\.0 too"):
        read(["mlflow", "mlflow"])


def test_trackers_as_objects():
    assert as_trackers("off") == as_trackers(False) == ()
    (entry,) = as_trackers("sqlite:///x.db")
    assert isinstance(entry.tracker, MLflow)
    assert entry.tracker.section == Tracking(uri="sqlite:///x.db")
    assert described_trackers(as_trackers(Tracking(tags={"a": "b"}))) == {
        **KEYS,
        "tags": {"a": "b"},
    }
    found = as_trackers([Tracking(), Table("x.db")])
    assert [entry.name for entry in found] == ["mlflow", "table"]
    assert [record["type"] for record in described_trackers(found)] == ["mlflow", "table"]
    assert described_trackers(()) == "off"
    for wrong in (5, [Table("a"), Table("b")]):
        with pytest.raises(ConfigError):
            as_trackers(wrong)


@pytest.mark.parametrize(
    ("given", "keys", "others", "uris", "changed"),
    [
        (None, {}, [], {"tracking.uri"}, {"uri": "y"}),
        ({"uri": "x"}, {"uri": "x"}, [], {"tracking.uri"}, {"uri": "y"}),
        ("off", None, [], set(), "off"),
        ("mlflow", {}, [], {"tracking.uri"}, {"type": "mlflow", "uri": "y"}),
        ("table", None, ["table"], set(), "table"),
        (
            ["table", {"type": "mlflow", "uri": "x"}],
            {"uri": "x"},
            ["table"],
            {"tracking.1.uri"},
            ["table", {"type": "mlflow", "uri": "y"}],
        ),
    ],
)
def test_mlflows_part_of_tracking(given, keys, others, uris, changed):
    assert mlflow_keys(given) == keys
    assert other_trackers(given) == others
    assert mlflow_uris(given) == uris
    assert with_mlflow_keys(given, {"uri": "y"}) == changed
    without = with_mlflow_keys(given, None)
    assert mlflow_keys(without) is None
    assert other_trackers(without) == others
