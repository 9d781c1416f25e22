"""Where MLflow may put a run's files: never where a server or a row of a database makes it up."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from ebmcore.trackers.mlflow.artifacts import MisplacedError, check
from ebmcore.trackers.mlflow.sync import sync
from support import servers

RUN = "a" * 32


@pytest.fixture
def run_dir(tmp_path):
    """A run that somebody else made, with little in it."""
    folder = tmp_path / "theirs"
    (folder / "plugins").mkdir(parents=True)
    (folder / "plugins" / "code.py").write_text("planted = True")
    (folder / "config.yaml").write_text("name: bare")
    (folder / "run.json").write_text(json.dumps({"status": "FINISHED", "name": "bare"}))
    (folder / "metrics.jsonl").write_text('{"step": 1, "epoch": 0, "time": 2, "loss": 3.0}\n')
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("sly", ["run row", "experiment", "link", "link of a folder", "two dots"])
def test_a_database_that_somebody_else_wrote_places_no_file(run_dir, store, tmp_path, sly):
    """The user names it, and so the run is sent; where its files go is not the rows' to say."""
    target = tmp_path / "site-packages"
    target.mkdir()
    top = tmp_path / "mlruns"
    number = store.create_experiment("bare", str(target) if sly == "experiment" else None)
    run = store.create_run(number, run_name="theirs", tags={"ebmcore.run": "theirs-1"})
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow = {"uri": uri, "experiment": "bare", "token": "theirs-1"}
    facts = {"status": "FINISHED", "name": "bare", "mlflow": mlflow}
    (run_dir / "run.json").write_text(json.dumps(facts))
    if sly == "link":
        top.symlink_to(target)
    if sly == "link of a folder":
        (top / number / run.info.run_id / "artifacts").mkdir(parents=True)
        (top / number / run.info.run_id / "artifacts" / "plugins").symlink_to(target)
    row = {"run row": target, "two dots": f"{top}/../site-packages/{run.info.run_id}/artifacts"}
    if sly in row:
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            database.execute("UPDATE runs SET artifact_uri = ?", (str(row[sly]),))
            database.commit()
    found = sync(run_dir)
    assert found.outcome == "behind"
    assert "MLFLOW_DEFAULT_ARTIFACT_ROOT" in found.note
    assert store.get_run(found.run_id).data.metrics
    assert not list(target.rglob("*"))


@pytest.mark.slow
def test_a_server_that_names_a_folder_gets_no_file_into_it(run_dir, tmp_path, monkeypatch):
    top = tmp_path / "shared" / "artifacts"
    place = f"{top}/1/{{run}}/artifacts"
    with servers.serving(servers.Keeps, place=place) as (uri, handler):
        found = sync(run_dir, uri=uri)
        assert (found.outcome, top.exists()) == ("behind", False)
        assert f"set MLFLOW_DEFAULT_ARTIFACT_ROOT={top}" in found.note
        assert any(path.endswith("log-batch") for path, _, _ in handler.heard)
        monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", str(top))
        assert sync(run_dir, uri=uri).outcome == "sent"
    assert (top / "1" / RUN / "artifacts" / "config.yaml").is_file()


@pytest.mark.slow
def test_an_experiment_of_another_folder_keeps_its_place(
    config, ebmcore_command, empty_store, tmp_path, monkeypatch
):
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    shared = f"sqlite:///{tmp_path}/mlflow.db"
    config |= {"monitors": [], "tracking": {"checkpoints": "none"}}
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        done = ebmcore_command("run", tmp_path / "c.yaml", "--json")
        found = json.loads(done.stdout)
        assert not [text for text in found["warnings"] if "MLflow" in text]
    held = tmp_path / "one" / "mlruns" / "1" / found["mlflow_run_id"] / "artifacts"
    assert (held / "config.yaml").is_file()
    assert not (tmp_path / "two" / "mlruns").exists()
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "another user's"))
    done = ebmcore_command("run", tmp_path / "c.yaml", "--json")
    (line,) = [text for text in json.loads(done.stdout)["warnings"] if "MLflow" in text]
    assert f"set MLFLOW_DEFAULT_ARTIFACT_ROOT={tmp_path}/one/mlruns" in line


WEB = "https://mine:5000/mlflow"


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (WEB, "mlflow-artifacts:/1/x/artifacts"),
        (WEB, "mlflow-artifacts://mine:5000/1/x/artifacts"),
        (WEB, "https://mine:5000/api/2.0/mlflow-artifacts/artifacts/1"),
        (WEB, "s3://bucket/1/a folder/artifacts"),
        (WEB, "gs://bucket/1"),
        (WEB, "wasbs://box@account.blob.core.windows.net/1"),
        (WEB, "abfss://box@account.dfs.core.windows.net/1"),
        ("databricks", "dbfs:/databricks/mlflow-tracking/1/x/artifacts"),
        ("postgresql://h/db", "s3://bucket/1"),
        ("sqlite:////db/mlflow.db", f"/db/mlruns/1/{RUN}/artifacts"),
        ("sqlite:////db/mlflow.db", f"file:///db/mlruns/1/{RUN}/artifacts"),
        ("sqlite:////db/mlflow.db", f"/set/1/{RUN}/artifacts"),
        (WEB, f"/set/1/{RUN}/artifacts"),
        (WEB, "hdfs://named/here/1"),
    ],
)
def test_files_go_where_the_users_own_server_or_settings_say(monkeypatch, uri, place):
    root = "hdfs://named/here" if place.startswith("hdfs") else "/set"
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", root)
    check(place, uri, RUN)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (WEB, f"/srv/1/{RUN}/artifacts"),
        (WEB, f"file:///srv/1/{RUN}/artifacts"),
        (WEB, f"/setting/1/{RUN}/artifacts"),
        (WEB, f"/set/../srv/1/{RUN}/artifacts"),
        (WEB, f"/set/%2e%2e/srv/1/{RUN}/artifacts"),
        (WEB, "/set/1/another/artifacts"),
        (WEB, f"mlruns/1/{RUN}/artifacts"),
        (WEB, f"file://host/set/1/{RUN}/artifacts"),
        (WEB, "mlflow-artifacts://other:5000/1"),
        (WEB, "mlflow-artifacts://mine:5001/1"),
        (WEB, "http://mine:5000/api/2.0/mlflow-artifacts/artifacts/1"),
        (WEB, "https://other\\@mine:5000/api/2.0/mlflow-artifacts/artifacts/1"),
        (WEB, "https://mine:5000@other/api/2.0/mlflow-artifacts/artifacts/1"),
        (WEB, "abfss://box@account.example.org/1"),
        (WEB, "abfss://box@account.example.org\\@x.dfs.core.windows.net/1"),
        (WEB, "r2://bucket@example.org/1"),
        (WEB, "b2://bucket@s3.backblazeb2.com.example.org/1"),
        (WEB, "hdfs://named/hereafter/1"),
        (WEB, "hdfs://named/here/../1"),
        (WEB, "sftp://user@host/1"),
        (WEB, "dbfs:/1"),
        (WEB, "runs:/1/x"),
        ("sqlite:////db/mlflow.db", "http://other/api/2.0/mlflow-artifacts/artifacts/1"),
        ("sqlite:////db/mlflow.db", "mlflow-artifacts:/1"),
        ("sqlite:////db/mlflow.db", "s3://bucket/1"),
        ("sqlite:////db/mlflow.db", f"/dbs/mlruns/1/{RUN}/artifacts"),
        ("postgresql://h/db", "http://h/api/2.0/mlflow-artifacts/artifacts/1"),
        ("postgresql://h/db", f"/srv/1/{RUN}/artifacts"),
    ],
)
def test_files_go_nowhere_else(monkeypatch, uri, place):
    for root in ("/set", "hdfs://named/here", ""):
        monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", root)
        with pytest.raises(MisplacedError, match="MLFLOW_DEFAULT_ARTIFACT_ROOT"):
            check(place, uri, RUN)
