"""A run whose server's password no file holds: it goes on with the password that is named then."""

import base64
import json
import shutil
from pathlib import Path

import pytest
import yaml

import ebmcore
from ebmcore.masking import mask
from ebmcore.runs.status import read_account
from ebmcore.trackers.mlflow.sync import sync
from support import servers

pytestmark = pytest.mark.slow

SECRET = "s3cr3t"
BASIC = "Basic " + base64.b64encode(b"me:s3cr3t").decode()


def everything(folder):
    """Return all that was written below a folder."""
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


@pytest.fixture(scope="module")
def killed(tmp_path_factory, make_config):
    """A killed run to a server with a password, which wasn't there."""
    config = make_config()
    config["train"] = {"steps": 12, "batch_size": 20, "checkpoint_every": "5 steps"}
    config |= {"monitors": [], "tracking": {"uri": "http://me:s3cr3t@127.0.0.1:9"}}
    run = ebmcore.run(config, runs_dir=tmp_path_factory.mktemp("killed"), progress=False)
    shutil.rmtree(run.dir / "checkpoints" / "step-00000012")
    return run.dir


@pytest.fixture
def run_dir(killed, tmp_path):
    """The same, which was to go to another address."""
    return Path(shutil.copytree(killed, tmp_path / "mine"))


def moved(run_dir, uri):
    """Let the run be one to that server, as this installation would have recorded it."""
    from ebmcore.trackers.mlflow.target import recorded_target

    file = run_dir / "run.json"
    facts = json.loads(file.read_text())
    target = recorded_target(facts)._replace(uri=mask(uri)).sealed()
    file.write_text(json.dumps({**facts, "status": "KILLED", "mlflow": target.record("behind")}))
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    config["tracking"]["uri"] = mask(uri)
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))


def ways(monkeypatch, full, uri):
    """Yield the ways to name the password later."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", full)
    yield "the address"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    yield "the address without it, and its variables"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    yield "its variables"
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name)


def test_a_run_goes_on_with_the_password_that_is_named_then(run_dir, config, monkeypatch):
    files = config["plugins"]["files"]
    with servers.serving(servers.Keeps) as (uri, handler):
        full = uri.replace("://", "://me:s3cr3t@")
        moved(run_dir, full)
        found = sync(run_dir)
        assert found.outcome == "behind"
        assert "set MLFLOW_TRACKING_URI to that address with its password" in found.note
        resumed = ebmcore.resume(run_dir, plugins=files, progress=False)
        assert any("with its password" in text for text in resumed.warnings)
        again = ebmcore.run(run_dir / "config.yaml", progress=False)
        assert any("with its password" in text for text in again.warnings)
        assert handler.heard == []
        for _ in ways(monkeypatch, full, uri):
            for call in (
                lambda: sync(run_dir, again=True).outcome == "sent",
                lambda: (
                    ebmcore.run(run_dir / "config.yaml", progress=False).mlflow["state"]
                    == "complete"
                ),
            ):
                assert call()
                assert {authorization for _, authorization, _ in handler.heard} == {BASIC}
                handler.heard.clear()
        assert sync(run_dir, uri=full, again=True).outcome == "sent"
    assert SECRET not in str(everything(run_dir))


@pytest.mark.plugins
def test_children_get_the_password_and_no_command_line_has_it(config, forked, tmp_path):
    from ebmcore_sweep import run_seeds

    with servers.serving(servers.Keeps) as (uri, handler):
        config |= {"monitors": [], "tracking": {"uri": uri.replace("://", "://me:s3cr3t@")}}
        group = run_seeds(config, 2, launcher=forked, progress=False)
        assert group.status == "FINISHED"
        for child in (group.dir, *group.children.values()):
            assert read_account(child).mlflow == "complete", child
        assert {authorization for _, authorization, _ in handler.heard} == {BASIC}
    assert len(forked.tasks) == 2
    assert SECRET not in str([task.argv for task in forked.tasks])
    assert SECRET not in str(everything(tmp_path / "runs"))
