"""The data of a run, as MLflow shows them."""

import json

import pytest

from ebmcore.errors import EbmError
from ebmcore.trackers import MLflow, tracked_run
from ebmcore.trackers.mlflow.inputs import inputs
from ebmcore.trackers.sender import Sender

DATA = {
    "rows": 12,
    "event_shape": [2],
    "dtype": "float32",
    "columns": ["height", "weight"],
    "hash": "0123456789abcdef" * 4,
    "labels": "fedcba9876543210" * 4,
    "hash_of": "rows",
    "held_out": 3,
}


@pytest.fixture
def recorded(directory):
    """A run directory with a record of its data, whose fields may be set."""

    def record(**fields):
        directory.update(data={**DATA, **fields}, space="Real()")
        directory.write("held_out.bits", bytes([0b10100000, 0b00010000]))
        return directory.path

    return record


def test_a_file_and_its_held_out_rows(recorded):
    all_rows, held_out = inputs(recorded(), {"data": {"type": "file", "path": "a/people.csv"}})
    assert (all_rows.name, all_rows.digest) == ("people.csv", "0123456789ab-fedcba98")
    assert (all_rows.context, held_out.context) == ("training", "held out")
    assert (all_rows.source_type, json.loads(all_rows.source)) == ("local", {"uri": "a/people.csv"})
    assert json.loads(all_rows.schema)["mlflow_colspec"] == [
        {"name": "height", "type": "float", "required": True},
        {"name": "weight", "type": "float", "required": True},
    ]
    profile = json.loads(all_rows.profile)
    assert (profile["num_rows"], profile["hash"]) == (12, DATA["hash"])
    assert (held_out.name, json.loads(held_out.profile)["num_rows"]) == ("people.csv", 3)
    assert held_out.digest not in all_rows.digest


def test_other_held_out_rows_have_another_digest(recorded, directory):
    config = {"data": {"type": "rings"}}
    _, before = inputs(recorded(), config)
    directory.write("held_out.bits", bytes([0b01100000, 0b00010000]))
    _, after = inputs(directory.path, config)
    assert before.digest != after.digest


def test_a_dataset_without_columns_shows_shape_and_node(recorded):
    config = {"data": {"type": "parts:waves", "n": 5}}
    (rows,) = inputs(recorded(held_out=0, labels="", columns=None, event_shape=[8, 8]), config)
    assert (rows.name, rows.digest) == ("waves", "0123456789ab")
    assert json.loads(rows.source) == {"tags": {"ebmcore.data": config["data"]}}
    (spec,) = json.loads(json.loads(rows.schema)["mlflow_tensorspec"]["features"])
    assert spec["tensor-spec"] == {"dtype": "float32", "shape": [-1, 8, 8]}


def test_a_run_that_recorded_no_data_has_no_inputs(directory):
    assert inputs(directory.path, {}) == []


@pytest.mark.parametrize("fields", [{"rows": "many"}, {"event_shape": 3}, {"held_out": None}])
def test_an_unreadable_record_is_told(recorded, fields):
    run_dir = recorded(**fields)
    with pytest.raises(EbmError, match="record of the data can't be read"):
        inputs(run_dir, {"data": None})


def test_a_strange_record_is_shown_as_text(recorded):
    found = inputs(recorded(dtype={}, hash=1, columns=[3]), {"data": None})
    assert all(isinstance(field, str) for part in found for field in part)


@pytest.mark.slow
def test_inputs_are_sent_once_and_mlflow_reads_them(recorded, directory, store):
    import mlflow.data

    recorded()
    run = tracked_run(directory, directory.read(), config={"data": {"type": "file", "path": "a"}})
    for _ in range(2):  # the second finds the first one's run
        tracker = MLflow()
        tracker.begin(run)
        Sender(run, tracker).open()
        directory.update(mlflow={**tracker.record(), "state": "sending"})
        run = tracked_run(directory, directory.read(), config=run.config)
    found = store.get_run(tracker.remote.run_id).inputs.dataset_inputs
    assert [(one.dataset.name, one.tags[0].value) for one in found] == [
        ("a", "training"),
        ("a", "held out"),
    ]
    assert mlflow.data.get_source(found[0].dataset).uri == "a"
    assert tracker.notes == []
