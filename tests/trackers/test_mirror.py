"""The mirror and a real server that is frozen, stopped, started again, or answers wrongly."""

import json
import os
import shutil
import signal
import threading
import time
from functools import partial

import pytest

import ebmcore
from ebmcore import RunInterrupted
from ebmcore.trackers.mlflow.sync import sync
from support import servers

pytestmark = pytest.mark.slow

held, recorded, until = servers.held, servers.recorded, servers.wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_store):
    server = servers.Server(tmp_path_factory.mktemp("server"))
    shutil.copyfile(empty_store, server.folder / "mlflow.db")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server):
    from mlflow import MlflowClient

    return MlflowClient(server.uri)


@pytest.fixture
def slow_steps(config, server):
    """A run of steps of some 10 ms, one line of metrics for each second one."""
    config["loss"] = {"type": "parts:dawdles"}
    config["monitors"] = []
    config["train"] = {"steps": 100_000, "batch_size": 20, "log_every": 2}
    config["tracking"] = {"uri": server.uri, "experiment": "slow", "checkpoints": "none"}
    return config


def test_a_frozen_and_restarted_server_gets_every_point_once(
    slow_steps, server, client, monkeypatch, tmp_path
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    moments = {}
    trouble = []

    def disturb():
        try:
            facts = partial(servers.mlflow_facts, tmp_path / "runs")
            until(lambda: facts().get("run_id"), what="the MLflow run")
            run_id = facts()["run_id"]
            until(lambda: client.get_run(run_id).data.metrics, what="the first metrics")
            server.signal(signal.SIGSTOP)
            moments["frozen"] = time.time()
            time.sleep(4)
            moments["thawed"] = time.time()
            server.signal(signal.SIGCONT)
            time.sleep(0.5)
            server.stop()
            server.start()
            moments["restarted"] = time.time()
            until(lambda: last_step(client, run_id) > step_at(moments["restarted"]))
        except BaseException as error:
            trouble.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            moments["interrupted"] = time.time()

    def last_step(client, run_id):
        return max(value.step for value in client.get_metric_history(run_id, "loss"))

    def step_at(moment):
        (file,) = tmp_path.glob("runs/*/metrics.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()[:-1]]
        return max(line["step"] for line in lines if line["time"] <= moment)

    other = threading.Thread(target=disturb)
    other.start()
    with pytest.raises(RunInterrupted) as caught:
        ebmcore.run(slow_steps, progress=False)
    left = time.time() - moments["interrupted"]
    other.join()
    run = caught.value.run
    assert not trouble
    assert client.get_run(run.mlflow_run_id).info.status == "KILLED"
    assert sync(run.dir).outcome in ("sent", "already there")  # three seconds may be too short
    assert held(client, run.mlflow_run_id) == recorded(run.dir)
    assert client.get_run(run.mlflow_run_id).info.status == "KILLED"
    slowest = servers.step_seconds(run.dir, moments["frozen"], moments["thawed"])[-1]
    assert slowest < 0.5
    assert left < 5
    points = recorded(run.dir).total()
    servers.say(f"{points} points; slowest step {slowest:.3f} s; left in {left:.1f} s")


def test_a_server_that_works_and_says_500_gets_every_point_once(slow_steps, server, client):
    slow_steps["train"] = {"steps": 400, "batch_size": 20, "log_every": 2}
    with servers.serving(servers.Forgetful, port=server.port) as (uri, handler):
        slow_steps["tracking"]["uri"] = uri
        run = ebmcore.run(slow_steps, progress=False)
        assert handler.batches >= 3
    assert run.mlflow["state"] == "complete", run.warnings
    assert held(client, run.mlflow_run_id) == recorded(run.dir)
    log = (run.dir / "log.txt").read_text()
    assert "trying again until it works" in log
    assert "works again" in log


def test_a_refused_metric_is_named_and_holds_no_other_back(slow_steps, server, client):
    slow_steps["train"] = {"steps": 100, "batch_size": 20, "log_every": 2}
    with servers.serving(servers.Forgetful, port=server.port, refused=b"loss/gap/unscaled") as (
        uri,
        _,
    ):
        slow_steps["tracking"]["uri"] = uri
        slow_steps["loss"] = {"type": "parts:gap"}
        run = ebmcore.run(slow_steps, progress=False)
    (warning,) = run.warnings
    assert "refused 1 of what it was sent, such as metric loss/gap/unscaled: " in warning
    expected = {key: n for key, n in recorded(run.dir).items() if key[0] != "loss/gap/unscaled"}
    assert held(client, run.mlflow_run_id) == expected


def test_sync_catches_up_a_server_frozen_to_the_end(slow_steps, server, client):
    slow_steps["train"] = {"steps": 20, "batch_size": 20, "log_every": 2}
    server.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        run = ebmcore.run(slow_steps, progress=False)
        took = time.monotonic() - began
    finally:
        server.signal(signal.SIGCONT)
    assert run.status == "FINISHED"
    assert took < 8
    (warning,) = run.warnings
    assert f"{recorded(run.dir).total()} points and 0 pictures were not sent" in warning
    assert f"ebmcore runs sync {run.dir}" in warning
    assert run.mlflow["state"] == "behind"
    found = sync(run.dir)
    assert (found.outcome, found.note) == ("sent", "")
    assert held(client, found.run_id) == recorded(run.dir)
    assert client.get_run(found.run_id).info.status == "FINISHED"
    same = client.search_runs(
        [client.get_run(found.run_id).info.experiment_id],
        f"attributes.run_name = '{run.dir.name}'",
    )
    assert len(same) == 1
