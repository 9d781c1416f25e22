"""A mirror without a server: one that hangs or refuses, a locked database, a run gone on with."""

import json
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

import pytest

import ebmcore
from ebmcore import RunInterrupted
from ebmcore.trackers import Followers, MLflow, as_trackers, tracked_run
from ebmcore.trackers.mlflow.sync import sync
from support import servers

pytestmark = pytest.mark.slow

held, recorded, step_seconds = servers.held, servers.recorded, servers.step_seconds

HOLD = """
import sqlite3, sys, time
database = sqlite3.connect("mlflow.db", isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[1]))
database.execute("COMMIT")
"""


@pytest.fixture
def slow_steps(config):
    config["loss"] = {"type": "parts:dawdles"}
    config["monitors"] = []
    config["train"] = {"steps": 150, "batch_size": 20, "log_every": 1}
    return config


@pytest.fixture
def hanging():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as opened:
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"


@pytest.mark.usefixtures("empty_store")  # which imports mlflow, so that no step waits for that
def test_a_hanging_server_slows_no_step(slow_steps, hanging):
    alone = ebmcore.run(slow_steps, progress=False)
    slow_steps["tracking"] = {"uri": hanging}
    began = time.monotonic()
    run = ebmcore.run(slow_steps, progress=False)
    took = time.monotonic() - began
    seconds, others = step_seconds(run.dir), step_seconds(alone.dir)
    median, other = statistics.median(seconds), statistics.median(others)
    servers.say(f"steps: median {median:.4f} s, slowest {seconds[-1]:.3f} s")
    servers.say(f"alone: median {other:.4f} s, slowest {others[-1]:.3f} s")
    servers.say(f"the whole run {took:.1f} s")
    assert seconds[-1] < 0.5  # a request hangs for ten seconds
    assert median < 2 * other
    assert took < 12
    (warning,) = run.warnings
    assert f"{recorded(run.dir).total()} points" in warning


@pytest.mark.usefixtures("empty_store")
def test_a_killed_run_leaves_a_hanging_server_in_three_seconds(slow_steps, hanging, tmp_path):
    slow_steps["train"]["steps"] = 100_000
    slow_steps["tracking"] = {"uri": hanging}
    moments = []

    def interrupt():
        import os
        import signal

        servers.wait_until(lambda: list(tmp_path.glob("runs/*/metrics.jsonl")))
        time.sleep(1)
        moments.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(RunInterrupted) as caught:
        ebmcore.run(slow_steps, progress=False)
    left = time.monotonic() - moments[0]
    thread.join()
    servers.say(f"left in {left:.2f} s")
    assert left < 4
    assert caught.value.run.mlflow["state"] == "behind"


@pytest.mark.usefixtures("store")
def test_a_locked_database_is_an_outage_like_any_other(slow_steps, tmp_path, monkeypatch):
    monkeypatch.setattr("ebmcore.trackers.mlflow.store._WAIT", 1.0)  # less than the lock lasts
    slow_steps["tracking"] = {"checkpoints": "none"}
    slow_steps["train"]["steps"] = 250
    holder = subprocess.Popen([sys.executable, "-c", HOLD, "2.5"], stdout=subprocess.PIPE)
    assert holder.stdout.readline()
    run = ebmcore.run(slow_steps, progress=False)
    assert holder.wait(30) == 0
    holder.stdout.close()
    assert step_seconds(run.dir)[-1] < 0.5
    assert run.mlflow["state"] == "complete", run.warnings
    assert held(client(tmp_path), run.mlflow_run_id) == recorded(run.dir)


def client(folder):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def begin(directory):
    run = tracked_run(directory, directory.read(), config={"a": 1})
    return Followers(directory, as_trackers(None), run, pytest.fail)


def run_id_of(followers):
    return followers.find(MLflow).remote.target.run_id


def write(directory, steps):
    for step in steps:
        directory.append_metrics(step, 0.0, {"loss": step / 7, "odd (name)/../x": 1.0})


def test_a_run_that_goes_on_has_each_point_once(directory, store, tmp_path):
    """Its last lines are cut off and written again, with other times, as `resume` does."""
    first = begin(directory)
    write(directory, range(100))
    assert first.finish("KILLED", 30) == []
    directory.update(status="KILLED")
    run_id = run_id_of(first)
    kept = directory.metrics_file.read_text().splitlines(keepends=True)[:60]
    directory.metrics_file.write_text("".join(kept))
    time.sleep(0.01)
    write(directory, range(60, 80))
    second = begin(directory)
    servers.wait_until(lambda: store.get_run(run_id).info.status == "RUNNING")
    write(directory, range(80, 1300))
    assert second.finish("FINISHED", 60) == []
    assert run_id_of(second) == run_id
    values = store.get_metric_history(run_id, "loss")
    assert [value.step for value in values] == list(range(1300))
    assert [value.value for value in values] == [step / 7 for step in range(1300)]
    assert len(store.get_metric_history(run_id, "odd _name_/_/x")) == 1300
    assert store.get_run(run_id).info.status == "FINISHED"


def test_a_run_whose_id_was_not_written_is_found_by_its_tag(directory, store):
    first = begin(directory)
    write(directory, range(5))
    first.finish("KILLED", 30)
    facts = directory.read()["mlflow"]
    unknown = {"run_id": None, "experiment_id": None, "state": "sending"}
    directory.update(mlflow={**facts, **unknown}, status="RUNNING")
    directory.lock.release()
    found = sync(directory.path)
    assert found.outcome == "sent"
    assert found.run_id == facts["run_id"]
    assert len(store.get_metric_history(found.run_id, "loss")) == 5


def test_events_become_tags_and_a_file(directory, store):
    mirror = begin(directory)
    events = [{"step": step, "time": 1.0, "event": "rollback"} for step in (3, 9)]
    directory.events_file.write_text("".join(json.dumps(event) + "\n" for event in events))
    mirror.finish("FINISHED", 30)
    run_id = run_id_of(mirror)
    tags = store.get_run(run_id).data.tags
    found = [json.loads(tags[f"ebmcore.event.00{number}"]) for number in (1, 2)]
    assert found == events
    assert "events.jsonl" in {file.path for file in store.list_artifacts(run_id)}


def test_lines_that_are_no_metrics_keep_nothing_back(directory, store):
    write(directory, range(3))
    with directory.metrics_file.open("a") as file:
        file.write('{"step": 3, "epoch": 0, "time": 1.0, "' + "x" * 251 + '": 1.0, "loss": 2.0}\n')
        file.write('not JSON\n[1]\n{"step": "4"}\n{"step": true, "time": 1}\n')
    mirror = begin(directory)
    assert mirror.finish("FINISHED", 30) == []
    history = store.get_metric_history(run_id_of(mirror), "loss")
    assert sorted(value.step for value in history) == [0, 1, 2, 3]


def test_a_run_that_was_deleted_in_mlflow_is_not_made_again(directory, store):
    first = begin(directory)
    first.finish("KILLED", 30)
    run_id = run_id_of(first)
    store.delete_run(run_id)
    directory.update(status="KILLED")
    directory.lock.release()
    found = sync(directory.path, again=True)
    assert found.outcome == "behind"
    assert "was deleted in MLflow" in found.note


def test_a_database_that_is_not_mlflows_is_left_alone(directory, tmp_path):
    other = tmp_path / "mine.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    before = other.read_bytes()
    mlflow = {"uri": f"sqlite:///{other}", "experiment": "x", "token": "t"}
    directory.update(status="KILLED", mlflow=mlflow)
    directory.lock.release()
    found = sync(directory.path)
    assert found.outcome == "behind"
    assert "name it by --uri" in found.note
    assert other.read_bytes() == before
