"""An evaluation that no MLflow shows, or that can't be read; test_mlflow.py sends real ones."""

import json
from pathlib import Path

import pytest

from ebmcore.errors import EbmError
from ebmcore.trackers.mlflow.evaluated import send_evaluation
from ebmcore.trackers.mlflow.sync import show_evaluation

FOUND = json.dumps({"step": 18, "metrics": {"looks/mean": 0.5}})


def test_a_run_that_is_sent_nowhere_sends_no_evaluation(directory):
    directory.update(status="FINISHED")
    directory.write("evaluation/evaluation.json", FOUND.encode())
    assert show_evaluation(directory.path) == []
    assert not Path("mlflow.db").exists()


def test_a_run_that_goes_on_sends_it_at_its_end(directory):
    directory.update(mlflow={"uri": "sqlite:///mlflow.db", "token": "again-1", "state": "sending"})
    directory.write("evaluation/evaluation.json", FOUND.encode())
    assert show_evaluation(directory.path) == []
    assert directory.read()["mlflow"]["state"] == "sending"


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"step": "x", "metrics": {}}', "[" * 20_000])
def test_an_evaluation_that_is_none_is_told(directory, text):
    directory.write("evaluation/evaluation.json", text.encode())
    with pytest.raises(EbmError, match=r"evaluation\.json: can't be read"):
        send_evaluation(None, directory.path)
