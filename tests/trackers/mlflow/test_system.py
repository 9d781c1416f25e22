"""Measures of the machine, which MLflow's own switch asks for."""

import json
import sys

import pytest

from ebmcore.trackers import Followers, as_trackers, tracked_run
from ebmcore.trackers.mlflow.system import SWITCH
from support import servers
from support.servers import held, wait_until


@pytest.fixture
def follow(directory, store, monkeypatch):
    """Follow the directory with MLflow, which measures every 50 ms if that is asked for."""
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")

    def begin():
        run = tracked_run(directory, directory.read(), config={"a": 1})
        return Followers(directory, as_trackers(None), run, pytest.fail, wait=False)

    return begin


@pytest.mark.slow
def test_the_switch_has_the_machine_measured(follow, directory, store, monkeypatch):
    pytest.importorskip("psutil")
    monkeypatch.setenv(SWITCH, "true")
    file = directory.path / "system.jsonl"
    followers = follow()
    wait_until(lambda: file.exists() and len(file.read_text().splitlines()) >= 3)
    directory.append_metrics(1, 0.0, {"loss": 0.5})
    directory.update(status="FINISHED")  # as a run does before its last lines are sent
    wait_until(lambda: not [t for t in _threads() if "system" in t])
    assert followers.finish("FINISHED") == []
    lines = file.read_text().splitlines()
    assert {"system/cpu_utilization_percentage", "system/disk_usage_percentage"} <= set(
        json.loads(lines[0])
    )
    run_id = directory.read()["mlflow"]["run_id"]
    sent = held(store, run_id)
    assert sent["loss", 1, 0.5] == 1
    assert not servers.recorded(directory.path, "system.jsonl") - sent


@pytest.mark.slow
def test_without_psutil_it_is_said_once(follow, directory, monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    monkeypatch.setitem(sys.modules, "psutil", None)
    for name in [n for n in sys.modules if n.startswith("mlflow.system_metrics.metrics.")]:
        monkeypatch.delitem(sys.modules, name)
    followers = follow()
    wait_until(lambda: not [t for t in _threads() if "system" in t])
    (said,) = followers.finish("FINISHED")
    assert "pip install psutil" in said
    assert not (directory.path / "system.jsonl").exists()


@pytest.mark.slow
def test_without_the_switch_nothing_is_measured(follow, directory):
    followers = follow()
    followers.wait_until_open(60)
    assert not [t for t in _threads() if "system" in t]
    assert followers.finish("FINISHED") == []
    assert not (directory.path / "system.jsonl").exists()


def _threads():
    import threading

    return [thread.name for thread in threading.enumerate()]
