"""`ebmcore runs list`, `show` and `sync`: runs that were killed, live, broken, or made to harm."""

import json
import os
import time

import pytest
from typer.testing import CliRunner

import ebmcore
from ebmcore import EbmError
from ebmcore.cli.main import app
from ebmcore.runs.directory import RunDirectory
from ebmcore.runs.lock import RunLock
from ebmcore.runs.status import read_account
from ebmcore.trackers.mlflow.sync import sync
from support import servers

held, recorded = servers.held, servers.recorded


def runs(*arguments):
    """Call `ebmcore runs`; return the exit code, the document, and what else was said."""
    done = CliRunner().invoke(app, ["runs", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout), done.stderr


def told(*arguments):
    done = CliRunner().invoke(app, ["runs", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def endless(config, tmp_path, begin_command):
    """Start a run that goes on until it is killed."""

    def start(tracking):
        config["loss"] = {"type": "parts:dawdles"}
        config["train"] = {"steps": 100_000, "batch_size": 20, "log_every": 5}
        config["tracking"] = tracking
        (tmp_path / "c.yaml").write_text(json.dumps(config))
        process = begin_command("run", "c.yaml")
        servers.wait_until(lambda: list(tmp_path.glob("runs/*/metrics.jsonl")), what="a step")
        (folder,) = tmp_path.glob("runs/*")
        return process, folder

    return start


@pytest.mark.slow
def test_a_run_that_was_killed_is_shown_and_put_right(endless, store):
    process, folder = endless({})
    servers.wait_until(lambda: servers.mlflow_facts("runs").get("run_id"), what="MLflow")
    run_id = servers.mlflow_facts("runs")["run_id"]
    servers.wait_until(lambda: store.get_run(run_id).data.metrics, what="metrics in MLflow")

    code, (seen,), _ = runs("list")
    assert (code, seen["status"], seen["process_gone"], seen["steps"]) == (
        0,
        "RUNNING",
        False,
        100_000,
    )
    code, (synced,), _ = runs("sync", folder)
    assert (code, synced["outcome"]) == (0, "skipped")
    assert "its process is still writing it" in synced["note"]
    with pytest.raises(EbmError, match=rf"process {process.pid} on \S+ is writing this run"):
        RunLock(folder).acquire()

    process.kill()
    process.wait()
    before = {file: file.stat().st_mtime_ns for file in (folder, *folder.rglob("*"))}
    code, (seen,), _ = runs("list")
    assert (code, seen["status"], seen["recorded_status"]) == (0, "KILLED", "RUNNING")
    assert seen["process_gone"]
    code, seen, _ = runs("show", folder)
    assert (code, seen["status"], seen["mlflow"]["run_id"]) == (0, "KILLED", run_id)
    code, _, said = told("list")
    assert "its process is gone" in said
    after = {file: file.stat().st_mtime_ns for file in (folder, *folder.rglob("*"))}
    assert after == before  # who only looks writes nothing
    assert store.get_run(run_id).info.status == "RUNNING"

    code, (synced,), _ = runs("sync")
    assert (code, synced["outcome"], synced["run_id"]) == (0, "sent", run_id)
    assert held(store, run_id) == recorded(folder)
    assert store.get_run(run_id).info.status == "KILLED"
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "KILLED"
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert facts["ended"] == last["time"]
    assert runs("sync")[1][0]["outcome"] == "already there"
    assert runs("sync", folder)[1][0]["outcome"] == "sent"  # named, so MLflow is asked again
    assert held(store, run_id) == recorded(folder)


@pytest.mark.slow
def test_an_unknown_run_is_sent_to_the_named_server(config, store, tmp_path):
    run = ebmcore.run(config, progress=False)  # tracking is off
    code, (synced,), _ = runs("sync")
    assert (code, synced["outcome"]) == (0, "skipped")
    assert "--uri" in synced["note"]
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(2):
        code, (synced,), _ = runs("sync", run.dir, "--uri", uri)
        assert (code, synced["outcome"]) == (0, "sent")
    seen = store.get_run(synced["run_id"])
    assert held(store, synced["run_id"]) == recorded(run.dir)
    assert (seen.info.status, seen.info.run_name) == ("FINISHED", run.dir.name)
    assert seen.data.params["sampler.step_size"] == "0.1"
    assert abs(seen.info.start_time / 1000 - read_account(run.dir).started) < 1
    files = {file.path for file in store.list_artifacts(synced["run_id"], "figures/looks")}
    assert "figures/looks/step-00000018.png" in files
    assert len(store.search_runs([seen.info.experiment_id])) == 1


@pytest.mark.slow
def test_sync_says_what_is_left_when_no_server_answers(config, store):
    run = ebmcore.run(config, progress=False)
    uri = f"http://127.0.0.1:{servers.free_port()}"
    code, (synced,), _ = runs("sync", run.dir, "--uri", uri)
    assert (code, synced["outcome"]) == (1, "behind")
    assert f"{recorded(run.dir).total()} points and 4 pictures are left" in synced["note"]
    assert json.loads((run.dir / "run.json").read_text())["status"] == "FINISHED"


def odd(folder, text, name="run.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


ODD_FACTS = {
    "a list": "[1, 2]",
    "no JSON": "{",
    "deep": "[" * 100_000,
    "other status": '{"status": ["RUNNING"]}',
    "no status": "{}",
}


def test_folders_that_are_no_runs_are_listed_as_such(tmp_path):
    for name, text in ODD_FACTS.items():
        odd(tmp_path / "runs" / name, text)
    (tmp_path / "runs" / "empty").mkdir()
    os.mkfifo(odd(tmp_path / "runs" / "pipe", "", "x") / "run.json")
    good = RunDirectory.create("good", tmp_path / "runs")
    good.update(status="FINISHED", started=5.0)
    good.lock.release()
    code, found, _ = runs("list")
    assert code == 0
    assert found[0]["status"] == "FINISHED"
    assert {f["status"] for f in found[1:]} == {"BROKEN"}
    assert all(f["problem"] for f in found[1:])
    assert len(found) == len(ODD_FACTS) + 3
    code, _, said = told("list")
    assert code == 0
    assert "no JSON: run.json isn't JSON" in said
    code, found, _ = runs("sync")
    assert code == 0
    assert {f["outcome"] for f in found} == {"skipped"}
    assert runs("sync", tmp_path / "runs" / "empty")[0] == 2
    assert runs("show", tmp_path / "runs" / "a list")[0] == 2
    assert runs("list", "--runs-dir", tmp_path / "none")[0] == 2


WEIRD = {
    "status": "RUNNING",
    "name": ["x"],
    "started": "yesterday",
    "ended": {"a": 1},
    "step": -4,
    "steps": 1e300,
    "pid": "1; rm",
    "host": 7,
    "metrics": [1],
    "plugins": "all",
    "command": {"a": 1},
    "versions": None,
    "git": 3,
    "user": [],
    "mlflow": {"state": {}, "run_id": "' OR 1", "token": "'", "tags": [1], "uri": 4},
    "components": [{"component": "\x1b[2J"}],
}


def test_facts_of_any_type_are_read_and_shown(tmp_path):
    folder = odd(tmp_path / "runs" / "weird\x1b[2J", json.dumps(WEIRD))
    odd(folder, '{"step": 1e999}\n[]\n\n{"loss": "\x1b[2J", "time": {}}\n', "metrics.jsonl")
    code, (found,), _ = runs("list")
    assert (code, found["status"], found["process_gone"]) == (0, "KILLED", True)
    assert (found["step"], found["started"], found["mlflow"]) == (None, None, None)
    for command in (("list",), ("show", folder)):
        code, out, said = told(*command)
        assert code == 0
        assert "\x1b[2J" not in out + said.replace(str(folder), "")


@pytest.mark.slow
def test_sync_of_weird_facts_sends_what_there_is(store, tmp_path):
    folder = odd(tmp_path / "runs" / "weird", json.dumps(WEIRD))
    odd(folder, '{"step": 1, "time": 2, "loss": 3, "x": [4]}\n', "metrics.jsonl")
    odd(folder, "a: &a [*a]\n", "config.yaml")
    found = sync(folder, uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert (found.outcome, found.note) == ("sent", "")
    assert held(store, found.run_id) == {("loss", 1, 3.0): 1}
    assert json.loads((folder / "run.json").read_text())["status"] == "KILLED"


@pytest.mark.slow
def test_sync_follows_no_link_out_of_the_directory(store, tmp_path):
    secret = odd(tmp_path / "secret", "mine", "key.png")
    folder = odd(tmp_path / "runs" / "sly", json.dumps({"status": "FINISHED", "name": "sly"}))
    (folder / "figures").mkdir()
    (folder / "figures" / "there").symlink_to(secret)
    (folder / "figures" / "here").mkdir()
    (folder / "figures" / "here" / "key.png").symlink_to(secret / "key.png")
    (folder / "plugins").symlink_to(secret)
    (folder / "checkpoints").symlink_to(secret)
    (folder / "run.json.part").symlink_to(secret / "key.png")
    found = sync(folder, uri=f"sqlite:///{tmp_path}/mlflow.db")
    assert found.outcome == "sent"
    assert not store.list_artifacts(found.run_id)
    assert (secret / "key.png").read_text() == "mine"
    (folder / "log.txt").symlink_to(secret / "key.png")
    with pytest.raises(EbmError, match=r"log\.txt is a link"):
        sync(folder, uri=f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.slow
def test_a_run_json_cannot_claim_another_run(store, tmp_path):
    experiment = store.create_experiment("mine")
    mine = store.create_run(experiment, run_name="mine", tags={"ebmcore.run": "mine-1"})
    facts = {
        "status": "FAILED",
        "mlflow": {
            "uri": f"sqlite:///{tmp_path}/mlflow.db",
            "run_id": mine.info.run_id,
            "token": "theirs",
        },
    }
    folder = odd(tmp_path / "runs" / "mine", json.dumps(facts))
    found = sync(folder)
    assert found.outcome == "sent"
    assert found.run_id != mine.info.run_id
    assert store.get_run(mine.info.run_id).info.status == "RUNNING"


def test_times_are_told_as_a_person_says_them():
    from ebmcore.cli.runs.list import moment
    from ebmcore.terminal import duration

    assert [duration(s) for s in (None, 2.34, 61, 7265)] == ["-", "2.3 s", "1 min 1 s", "2 h 1 min"]
    assert moment(1e10) == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1e10))
