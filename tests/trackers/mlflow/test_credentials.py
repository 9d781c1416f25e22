"""No credential of the user's reaches a host that they haven't named, whichever kind it is."""

import base64
import json

import pytest
import yaml

import ebmcore
from ebmcore.trackers.mlflow.sync import sync
from support import servers

pytestmark = pytest.mark.slow

BASIC = "Basic " + base64.b64encode(b"me:s3cr3t").decode()
KINDS = {
    "token": "Bearer s3cr3t",
    "username and password": BASIC,
    "credentials file": BASIC,
    "netrc": BASIC,
    "netrc default": BASIC,
    "netrc by its variable": BASIC,
}


@pytest.fixture(params=KINDS)
def kind(request, tmp_path, monkeypatch):
    """Give the user one kind of credentials; return what a server then hears."""
    home = tmp_path / "home"
    (home / ".mlflow").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("NETRC", raising=False)
    named, kind = "login me password s3cr3t\n", request.param
    if kind == "token":
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cr3t")
    elif kind == "username and password":
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cr3t")
    elif kind == "credentials file":
        text = "[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = s3cr3t\n"
        (home / ".mlflow" / "credentials").write_text(text)
    elif kind == "netrc by its variable":
        (tmp_path / "netrc").write_text(f"default {named}")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    else:
        who = "default" if kind == "netrc default" else "machine 127.0.0.1"
        (home / ".netrc").write_text(f"{who} {named}")
        (home / ".netrc").chmod(0o600)
    return KINDS[kind]


@pytest.fixture
def run_dir(tmp_path):
    """A run that somebody else made, with little in it."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.yaml").write_text("name: bare")
    (folder / "metrics.jsonl").write_text('{"step": 1, "epoch": 0, "time": 2, "loss": 3.0}\n')
    tell(folder, None)
    return folder


def tell(folder, uri, section=None):
    mlflow = uri and {"uri": uri, "experiment": "bare", "token": "theirs-1"}
    facts = {"status": "FINISHED", "name": "bare", "mlflow": mlflow}
    (folder / "run.json").write_text(json.dumps(facts))
    if section is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump({"name": "bare", "tracking": section}))


def heard(handler):
    return {authorization for _, authorization, _ in handler.heard}


@pytest.mark.parametrize(
    "where", ["run.json", "config.yaml", pytest.param("a group", marks=pytest.mark.plugins)]
)
def test_credentials_go_only_where_the_user_says(run_dir, config, kind, where):
    with servers.serving(servers.Keeps) as (uri, handler):
        if where == "a group":
            from ebmcore_sweep.parent import Parent

            with Parent.begin("seeds", config, tracking=None, seeds=[3, 4]) as parent:
                parent.status = "KILLED"
            run_dir = parent.path
            config["tracking"] = {"uri": uri}
            (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
            with Parent.resume(run_dir, ebmcore.config.Tracking(uri=uri)) as parent:
                assert parent.followed == ()
        else:
            told = (uri, {}) if where == "run.json" else (None, {"uri": uri})
            tell(run_dir, *told)
        found = sync(run_dir)
        assert found.outcome == "behind"
        assert handler.heard == []
        assert sync(run_dir, uri=uri).outcome == "sent"
        assert heard(handler) == {kind}  # so that it would have been heard before


def test_an_artifact_place_of_http_in_a_database_hears_nothing(run_dir, kind, store, tmp_path):
    """The user named the database; a row of it, that somebody else wrote, names a server."""
    with servers.serving(servers.Keeps) as (uri, handler):
        place = f"{uri}/api/2.0/mlflow-artifacts/artifacts/1"
        number = store.create_experiment("bare", place)
        store.create_run(number, run_name="theirs", tags={"ebmcore.run": "theirs-1"})
        tell(run_dir, f"sqlite:///{tmp_path}/mlflow.db")
        found = sync(run_dir)
        assert found.outcome == "behind"
        assert f"MLflow keeps them in {place}" in found.note
        assert handler.heard == []
    assert kind


def test_a_server_hands_the_user_on_to_no_other_host(run_dir, kind):
    with servers.serving(servers.Keeps) as (other, evil):
        where = other.replace("127.0.0.1", "localhost")  # another name is another host
        for leads_to in (other, where):
            with servers.serving(servers.Keeps, redirect=leads_to) as (uri, handler):
                found = sync(run_dir, uri=uri)
                assert heard(handler) == {kind}
            assert evil.heard == []
            assert found.outcome == "behind"
            assert "redirects to http://" in found.note
            assert "which you haven't named" in found.note


def test_a_servers_other_artifact_host_hears_nothing(run_dir, kind):
    with servers.serving(servers.Keeps) as (other, evil):
        host = other.removeprefix("http://")
        inner = "/api/2.0/mlflow-artifacts/artifacts/1"
        for place in (f"mlflow-artifacts://{host}/1", f"{other}{inner}", f"http://u:p@{host}/1"):
            with servers.serving(servers.Keeps, place=place) as (uri, handler):
                found = sync(run_dir, uri=uri)
                assert (found.outcome, heard(handler)) == ("behind", {kind})
                assert "MLFLOW_DEFAULT_ARTIFACT_ROOT" in found.note
            assert evil.heard == []
