"""Passwords in URIs stand nowhere in what is written or shown, and the server gets them still."""

import base64
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import ebmcore
from ebmcore import RunError
from ebmcore.cli.main import app
from ebmcore.errors import ConfigError, EbmError, Problem
from ebmcore.masking import is_masked, mask, mask_all, masked_places, without_password
from ebmcore.trackers.mlflow.sync import sync
from ebmcore.trackers.mlflow.trusted_destinations import with_password
from support import servers

SECRET = "s3cr3t"
BASIC = "Basic " + base64.b64encode(b"me:s3cr3t").decode()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://me:s3cr3t@host:5000/a", "http://***@host:5000/a"),
        ("HTTPS://me:s3cr3t@host", "HTTPS://***@host"),
        ("http://s3cr3t@host", "http://***@host"),
        ("http://me:s3cr3t@s3cr3t@host/a@b", "http://***@host/a@b"),
        ("http://me:s3/cr3t@host", "http://***@host"),
        ("http://me:s3#cr?3t@host/x", "http://***@host/x"),
        ("http://me:12345@host", "http://***@host"),
        ("postgresql+psycopg2://me:s3cr/3t@h:1/db", "postgresql+psycopg2://***@h:1/db"),
        ("redis://:s3cr3t@host/0", "redis://***@host/0"),
        ("http://host/?token=s3cr3t&x=1", "http://host/?token=***&x=1"),
        ("http://host/?x=1&access_token=s3cr3t#y", "http://host/?x=1&access_token=***#y"),
        ("https://host/a?sv=1&sig=s3%2Fcr3t", "https://host/a?sv=1&sig=***"),
        ("s3://b/a?X-Amz-Signature=s3cr3t", "s3://b/a?X-Amz-Signature=***"),
        ("postgresql://h/db?password=s3cr3t", "postgresql://h/db?password=***"),
        ("mssql://h?odbc_connect=PWD%3Ds3cr3t", "mssql://h?odbc_connect=***"),
        ("with url: /api?token=s3cr3t (Caused", "with url: /api?token=*** (Caused"),
        ("run tracking.uri=http://me:s3cr3t@h x=1", "run tracking.uri=http://***@h x=1"),
        ("'http://me:s3cr3t@h' and http://o:s3cr3t@h", "'http://***@h' and http://***@h"),
    ],
)  # fmt: skip
def test_a_password_is_masked_in_any_text(text, masked):
    assert mask(text) == masked
    assert mask(masked) == masked
    assert "s3" not in mask(repr(text)).replace("s3://", "")
    assert str(EbmError(text)) == masked
    (problem,) = ConfigError([Problem("a.b", text, text)]).problems
    assert problem == ("a.b", masked, masked)


@pytest.mark.parametrize(
    "text",
    [
        "http://host:80/a@b",
        "http://[::1]:80/a@b",
        "https://host/pkg@1.2/file?page=2",
        "sqlite:////home/me@work/mlflow.db",
        "abfss://box@account.dfs.core.windows.net/a",
        "ssh://git@host/a.git",
        "write to me@host or see http://host/x",
        "{'a': 'http://host:80', 'b': 'me@host'}",
        "http://host/?author=me&max_tokens=3",
        "a token=1; b=2",
    ],
)
def test_nothing_else_is_masked(text):
    assert mask(text) == text
    assert not is_masked(text)


def test_masked_values_are_found_again():
    tree = {"a": [{"b": "x http://me:s3cr3t@h"}], "http://me:s3cr3t@h": 1, "n": None}
    masked = mask_all(tree)
    assert masked == {"a": [{"b": "x http://***@h"}], "http://***@h": 1, "n": None}
    assert list(masked_places(masked)) == ["a.0.b"]
    assert without_password("http://me:s3cr3t@h/?a=1&token=s3cr3t&b=2") == "http://h/?a=1&b=2"


PLUGIN = """
from ebmcore import monitor

@monitor
def fetches(view, *, url: str = "", breaks: bool = False):
    '''Keep the address that it was given.

    Args:
        url: An address.
        breaks: Whether to raise.
    '''
    assert "s3cr3t" in url
    print("fetching", url)
    if breaks:
        raise RuntimeError(f"no answer from {url}")
    return {"one": 1.0}
"""


@pytest.fixture
def tracked(config, tmp_path):
    """A config with passwords in the tracking section, and in a part's own value."""
    (tmp_path / "fetches.py").write_text(PLUGIN)
    address = "postgresql://me:s3cr3t@host/db"
    config["plugins"]["files"].append(str(tmp_path / "fetches.py"))
    config["monitors"] = [{"type": "fetches", "url": address, "breaks": True, "every": "end"}]
    config["tracking"] = {"tags": {"from": address}, "experiment": "at http://me:s3cr3t@host"}
    return config


def everything(*folders):
    """Return all that was written below some folders, but for the code that plugin files are."""
    files = (file for folder in folders for file in folder.rglob("*"))
    return {file: file.read_bytes() for file in files if file.is_file() and file.suffix != ".py"}


@pytest.mark.slow
def test_only_the_server_gets_the_password(tracked, ebmcore_command, tmp_path):
    with servers.serving(servers.Keeps) as (uri, handler):
        full = uri.replace("://", "://me:s3cr3t@")
        (tmp_path / "c.yaml").write_text(json.dumps(tracked))
        done = ebmcore_command(
            "run", "c.yaml", f"tracking.uri={full}", "--json", "--runs-dir", "runs"
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        run_dir = Path(found["run_dir"])
        assert {authorization for _, authorization, _ in handler.heard} == {BASIC}
        sent = {path.rpartition("/")[2]: body for path, _, body in handler.heard}
        assert {"config.yaml", "log.txt", "events.jsonl"} & set(sent) >= {"config.yaml", "log.txt"}
        assert not [path for path, _, body in handler.heard if SECRET.encode() in body
                    and not path.endswith(".py")]  # fmt: skip
        assert any(b"***" in body for path, _, body in handler.heard if "log-batch" in path)
        assert not [file for file, text in everything(run_dir).items() if SECRET.encode() in text]
        said = done.stdout + done.stderr.replace(f"fetching {tracked['monitors'][0]['url']}", "")
        assert SECRET not in said
        facts = json.loads((run_dir / "run.json").read_text())
        assert facts["mlflow"]["uri"] == mask(full)
        assert any("no answer from postgresql://***@host/db" in text for text in facts["warnings"])
        listing = ["list", "--runs-dir", "runs"]
        for command in (["show", run_dir], listing, ["diff", run_dir, run_dir]):
            for more in ([], ["--json"]):
                shown = CliRunner().invoke(app, ["runs", *map(str, command), *more])
                assert shown.exit_code == 0
                assert SECRET not in shown.output


@pytest.mark.slow
def test_a_database_holds_no_password(tracked, store, tmp_path):
    run = ebmcore.run(tracked, progress=False)
    assert run.mlflow["state"] == "complete", run.warnings
    assert store.get_run(run.mlflow_run_id).data.tags["from"] == "postgresql://***@host/db"
    text = everything(tmp_path / "mlruns", run.dir) | {"db": (tmp_path / "mlflow.db").read_bytes()}
    assert not [file for file, content in text.items() if SECRET.encode() in content]


@pytest.mark.slow
def test_an_unreachable_server_is_told_without_its_password(config):
    uri = f"http://me:s3cr3t@127.0.0.1:{servers.free_port()}/?token=s3cr3t"
    run = ebmcore.run(config, {"tracking": {"uri": uri}}, progress=False)
    (line,) = [text for text in run.warnings if "MLflow" in text]
    assert SECRET not in line
    found = sync(run.dir, uri=uri)
    assert found.outcome == "behind"
    assert SECRET not in json.dumps(found.document())
    assert SECRET not in str(everything(run.dir))


def test_a_masked_value_elsewhere_is_asked_for(tracked):
    tracked |= {"tracking": "off"}
    tracked["monitors"][0]["breaks"] = False
    files = tracked["plugins"]["files"]
    run = ebmcore.run(tracked, progress=False)
    facts = json.loads((run.dir / "run.json").read_text())
    (run.dir / "run.json").write_text(json.dumps({**facts, "status": "KILLED"}))
    recorded = run.dir / "config.yaml"
    for door, place in ((ebmcore.run, recorded), (ebmcore.resume, run.dir)):
        with pytest.raises(EbmError, match=r"monitors\.0\.url: its password was masked"):
            door(place, plugins=files, progress=False)
    given = {"monitors.0.url": "http://me:s3cr3t@h"}
    assert ebmcore.run(recorded, given, progress=False).status == "FINISHED"
    tree = yaml.safe_load(recorded.read_text())
    tree["data"]["url"] = "http://***@h"
    recorded.write_text(yaml.safe_dump(tree))
    assert ebmcore.load(run.dir, plugins=files)
    with pytest.raises(EbmError, match=r"data\.url: its password was masked"):
        ebmcore.evaluate(run.dir, plugins=files)


def test_no_command_shows_what_an_older_run_recorded(tracked, tmp_path):
    """Before passwords were masked they stood in run.json and config.yaml."""
    tracked |= {"tracking": "off", "name": "old"}
    (tmp_path / "c.yaml").write_text(json.dumps(tracked))
    tracked["monitors"] = []
    folders = [ebmcore.run(tracked, progress=False).dir for _ in range(2)]
    facts = json.loads((folders[0] / "run.json").read_text())
    mlflow = {"uri": "http://me:s3cr3t@h", "state": "behind"}
    text = json.dumps({**facts, "mlflow": mlflow, "warnings": ["no http://me:s3cr3t@h"]})
    (folders[0] / "run.json").write_text(text)
    with (folders[0] / "config.yaml").open("a") as file:
        file.write("parts: {a: 'http://me:s3cr3t@h'}\n")
    for command in (
        ["runs", "show", folders[0]],
        ["runs", "list"],
        ["runs", "diff", *folders],
        ["runs", "sync", folders[0]],
        ["run", "c.yaml", "--dry-run"],
        ["run", "c.yaml", "nothing=http://me:s3cr3t@h"],
    ):
        for more in ([], ["--json"]):
            shown = CliRunner().invoke(app, [*map(str, command), *more])
            assert shown.output
            assert SECRET not in shown.output


def test_a_failure_is_told_without_the_password(tracked):
    tracked |= {"tracking": "off"}
    tracked["monitors"] = []
    bad = {"loss": {"type": "parts:breaks"}, "name": "at http://me:s3cr3t@host"}
    with pytest.raises(RunError) as caught:
        ebmcore.run({**tracked, **bad}, progress=False)
    assert SECRET not in str(caught.value)
    assert SECRET not in str(everything(caught.value.run.dir))
    with pytest.raises(EbmError, match=r"http://\*\*\*@host"):
        with_password("http://***@host")
