"""The mirror and a real server that is frozen, stopped, started again, or answers wrongly."""

import json
import os
import shutil
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest
import torch

import ebmcore
from ebmcore import RunError, RunInterrupted
from ebmcore.trackers.mlflow.sync import sync
from support import PARTS, TABLE, servers
from support.models import models

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


class Hangs(servers.Forgetful):
    """A door to a server that says nothing more once it was sent a file of that name."""

    batches = float("nan")  # so that none is the third
    file = "state.safetensors"
    wakes = threading.Event()
    since = None  # the moment, by time.monotonic

    def _pass_on(self):
        if not self.since and self.command == "PUT" and self.path.endswith(self.file):
            type(self).since = time.monotonic()
        if self.since:
            self.wakes.wait(60)
            self.close_connection = True
        else:
            super()._pass_on()

    do_GET = do_POST = do_PUT = do_PATCH = _pass_on  # noqa: N815


def test_a_model_is_there_once_and_whole_after_an_outage(config, server, client, monkeypatch):
    config["train"] = {"steps": 20, "batch_size": 20}
    with servers.serving(Hangs, port=server.port) as (uri, handler):
        config["tracking"] = {"uri": uri, "experiment": "outage", "register": "outage"}
        run = ebmcore.run(config, progress=False)
        left = time.monotonic() - handler.since
        assert left < 8  # a call may take five seconds
        (warning,) = run.warnings
        assert f"`ebmcore runs sync {run.dir}` sends them" in warning
        (model,) = models(client, run, "model")
        assert str(model.status) == "PENDING"
        handler.file, handler.since = "nothing", None
        handler.wakes.set()
        sent = sync(run.dir)
        assert (sent.outcome, sent.note) == ("sent", "")
    (whole,) = models(client, run, "model")
    assert (whole.model_id, str(whole.status)) == (model.model_id, "READY")
    (version,) = client.search_model_versions("name = 'outage'")
    assert version.source == whole.artifact_location
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    there = ebmcore.load("models:/outage/1", plugins=[str(PARTS)])
    here = ebmcore.load(run.dir, plugins=[str(PARTS)])
    x = torch.ones(2, 2)
    assert torch.equal(there.energy(x), here.energy(x))
    servers.say(f"left after {left:.1f} s")


def test_who_has_only_the_server_goes_on_from_there(
    config, server, client, monkeypatch, tmp_path, ebmcore_command
):
    """Elsewhere, without the run directories: opened, scored, sampled, evaluated and resumed."""
    np.save("rows.npy", np.random.default_rng(0).normal(size=(60, 2)))
    rows = str(tmp_path / "rows.npy")
    config["plugins"]["files"].append(str(TABLE))
    config["data"] = {"type": "table", "path": rows}
    config["train"] = {"steps": 12, "batch_size": 20, "checkpoint_every": "4 steps"}
    config["tracking"] = {"uri": server.uri, "register": "rows", "experiment": "elsewhere"}
    run = ebmcore.run(config, progress=False)
    expected = run.score(rows, percentile=False).energy
    config["loss"] = {"type": "parts:breaks", "at": 9}
    config["tracking"] |= {"checkpoints": "last"}
    with pytest.raises(RunError) as raised:
        ebmcore.run(config, progress=False)
    failed = raised.value.run
    for done in (run, failed):
        shutil.rmtree(done.dir)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    named, trust = f"runs:/{run.mlflow_run_id}", [str(PARTS), str(TABLE)]
    opened = ebmcore.load(named, plugins=trust)
    assert torch.equal(opened.energies(torch.as_tensor(np.load(rows))), expected)
    options = [word for file in trust for word in ("-p", file)]
    for command in (
        ("score", "models:/rows/1", rows, "--no-percentile", "-o", "scores.npz"),
        ("sample", named, "-n", 4, "-o", "drawn.npz"),
        ("evaluate", named, "monitors=[looks]", "--seed", 1),
    ):
        done = ebmcore_command(*command, *options)
        assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load("scores.npz")["energy"], expected.numpy())
    assert np.load("drawn.npz")["x"].shape == (4, 2)
    assert "evaluate/looks/mean" in client.get_run(run.mlflow_run_id).data.metrics

    done = ebmcore_command("resume", f"runs:/{failed.mlflow_run_id}", *options)
    assert done.returncode == 1, done.stderr  # it breaks again, at its step
    assert (
        '"resumed"' in (tmp_path / "elsewhere/runs" / failed.dir.name / "events.jsonl").read_text()
    )
