"""A place that stands in a file alone is not spoken to, not opened, and gets no file of a run."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import ebmcore
from ebmcore.config import Tracking
from ebmcore.trackers.mlflow.sync import sync
from ebmcore.trackers.mlflow.target import Target, tracking_uri
from ebmcore.trackers.mlflow.trusted_destinations import destination, distrust
from ebmcore.trackers.mlflow.uris import DestinationError, same_place, sqlite_file
from support import servers

EVIL = "http://203.0.113.7:5000"


class Calls:
    """The connections, host look-ups and databases of this process, by Python's audit events."""

    EVENTS = ("socket.connect", "socket.getaddrinfo", "sqlite3.connect")

    def __init__(self):
        self.found = []
        self.on = False
        sys.addaudithook(self._hear)

    def _hear(self, event, arguments):
        if self.on and event in self.EVENTS:
            self.found.append((event, *map(str, arguments)))


@pytest.fixture(scope="module")
def all_calls():
    return Calls()


@pytest.fixture
def calls(all_calls):
    all_calls.found, all_calls.on = [], True
    yield all_calls.found
    all_calls.on = False


@pytest.fixture(scope="module")
def made(tmp_path_factory, make_config):
    """A killed run, made once."""
    place = tmp_path_factory.mktemp("made")
    config = make_config()
    config["train"] = {"steps": 12, "batch_size": 20, "checkpoint_every": "5 steps"}
    config["monitors"] = []
    run = ebmcore.run(config, runs_dir=place, progress=False)
    shutil.rmtree(run.dir / "checkpoints" / "step-00000012")
    change(run.dir, status="RUNNING")
    return run.dir


@pytest.fixture
def run_dir(made, tmp_path):
    folder = Path(shutil.copytree(made, tmp_path / "theirs"))
    track(folder, {})
    return folder


def change(run_dir, **fields):
    file = run_dir / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def track(run_dir, section):
    file = run_dir / "config.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "tracking": section}))


def block(uri, **more):
    return {"uri": uri, "experiment": "x", "token": "theirs-1", "tags": {}, **more}


PLACES = {  # every kind of place that a directory may name
    "server": EVIL,
    "name": "https://tracking.example.org",
    "its own database": "sqlite:///{here}/theirs/mlflow.db",
    "another database": "sqlite:///{here}/other.db",
    "a new database": "sqlite:///{here}/new.db",
    "a database as a URI": "sqlite:///file:{here}/other.db?uri=true",
    "a database with settings": "sqlite:///{here}/other.db?mode=rwc",
    "postgres": "postgresql://203.0.113.7/x",
    "folder": "file://{here}/mlruns",
    "masked": "http://***@203.0.113.7",
    "databricks": "databricks://theirs",
    "unknown": "theirs://203.0.113.7/x",
    "not printable": "http://203.0.113.7/\x1b[2J",
}


@pytest.mark.parametrize("where", ["run.json", "config.yaml", "both"])
@pytest.mark.parametrize("kind", PLACES)
def test_nothing_is_sent_or_opened_where_a_directory_alone_says(
    run_dir, calls, empty_store, tmp_path, monkeypatch, kind, where
):
    prepare(run_dir, empty_store, PLACES[kind].format(here=tmp_path), where, monkeypatch)
    before = outside(tmp_path)
    found = sync(run_dir)
    assert (calls, found.outcome) == ([], "behind")
    assert outside(tmp_path) == before
    assert found.note.startswith("nothing is sent: ")
    assert "MLFLOW_TRACKING_URI" in found.note or "--uri" in found.note
    assert found.note.isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("door", ["resume", "load", "evaluate"])
@pytest.mark.parametrize(
    ("kind", "where"),
    [("server", "config.yaml"), ("server", "both"), ("another database", "run.json")],
)
def test_no_way_into_a_directory_leads_out_of_it(
    run_dir, config, calls, empty_store, tmp_path, monkeypatch, door, kind, where
):
    prepare(run_dir, empty_store, PLACES[kind].format(here=tmp_path), where, monkeypatch)
    before = outside(tmp_path)
    files = config["plugins"]["files"]
    if door == "resume":
        (line,) = ebmcore.resume(run_dir, plugins=files, progress=False).warnings
        assert line.startswith("nothing is sent to MLflow: ")
        assert f"ebmcore runs sync {run_dir} --uri" in line
    else:
        getattr(ebmcore, door)(run_dir, plugins=files)
    assert calls == []
    assert outside(tmp_path) == before


def prepare(run_dir, empty_store, uri, where, monkeypatch):
    for file in (run_dir / "mlflow.db", run_dir.parent / "other.db"):
        shutil.copyfile(empty_store, file)
    track(run_dir, {"uri": uri} if where != "run.json" else {})
    if where == "run.json":
        change(run_dir, mlflow=block(uri))
    if where == "both":  # one names the user's server, and the other one doesn't
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        change(run_dir, mlflow=block(uri, seal="0" * 64))


def outside(folder):
    """Return what stands in a folder but for the run directory's own files."""
    return {
        file: file.read_bytes() if file.is_file() else None
        for file in folder.rglob("*")
        if not file.is_relative_to(folder / "theirs") or file.name.startswith("mlflow.db")
    }


def test_a_seal_stands_for_its_place_and_token_and_for_its_user(tmp_path, monkeypatch):
    own = Target(EVIL, "x", "token-1", {}).sealed()
    assert destination(own) == EVIL
    assert destination(Target(**{**own._asdict(), "experiment": "y"})) == EVIL
    for change_ in ({"uri": EVIL + "0"}, {"token": "token-2"}, {"seal": None}, {"seal": "0" * 64}):
        with pytest.raises(DestinationError, match="named by the directory alone"):
            destination(own._replace(**change_))
    monkeypatch.setenv("EBMCORE_CONFIG_DIR", str(tmp_path / "somebody else's"))
    with pytest.raises(DestinationError, match="named by the directory alone"):
        destination(own)


def test_a_place_that_is_named_now_is_the_users(monkeypatch, tmp_path):
    assert distrust(EVIL) is not None
    assert distrust(EVIL, [EVIL + "/"]) is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", EVIL)
    assert distrust(EVIL) is None
    assert distrust(EVIL.replace("5000", "5001")) is not None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert distrust(f"sqlite:///{tmp_path}/mlflow.db") is None  # MLflow's default, in this folder
    assert distrust(f"sqlite:///{tmp_path}/other/../mlflow.db") is None
    assert distrust(f"sqlite:///{tmp_path}/other/mlflow.db") is not None


@pytest.mark.slow
def test_a_run_in_another_folder_goes_on_to_its_own_database(config, store, tmp_path, monkeypatch):
    """On another of the user's machines, with the same home folder, it is the same."""
    config |= {"tracking": {"checkpoints": "none"}, "monitors": []}
    run = ebmcore.run(config, progress=False)
    assert run.mlflow["state"] == "complete", run.warnings
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    found = sync(run.dir.absolute() if run.dir.is_absolute() else tmp_path / run.dir, again=True)
    assert (found.outcome, found.run_id) == ("sent", run.mlflow_run_id)
    assert store.get_run(found.run_id).data.metrics
    assert not list(away.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["environment", "--uri"])
def test_a_run_from_before_seals_is_named_once(run_dir, store, tmp_path, monkeypatch, how):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    change(run_dir, mlflow=block(uri))
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    assert sync(run_dir).outcome == "behind"
    if how == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    found = sync(run_dir, uri=uri if how == "--uri" else None)
    assert found.outcome == "sent", found.note
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert sync(run_dir, again=True).outcome == "sent"
    assert store.get_run(found.run_id).data.metrics


@pytest.mark.slow
@pytest.mark.plugins
@pytest.mark.parametrize("mlflow", [None, "theirs", "mine"])
def test_children_are_not_begun_with_a_place_of_the_directorys(config, forked, monkeypatch, mlflow):
    """The config of a group is found in its directory, whatever its run.json names."""
    from ebmcore_sweep import resume_seeds
    from ebmcore_sweep.parent import Parent

    with (
        servers.serving(servers.Keeps) as (evil, theirs),
        servers.serving(servers.Keeps) as (
            mine,
            ours,
        ),
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
        config |= {"monitors": [], "train": {"steps": 3, "batch_size": 20}}
        parent = Parent.begin("seeds", config, tracking=None, seeds=[3, 4])
        with parent:
            parent.status = "KILLED"
        track(parent.path, {"uri": evil})
        if mlflow is not None:
            change(parent.path, mlflow=block({"theirs": evil, "mine": mine}[mlflow]))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", mine)
        group = resume_seeds(
            parent.path, plugins=config["plugins"]["files"], launcher=forked, progress=False
        )
        assert group.status == "FINISHED", group.failed
        assert theirs.heard == []
        assert bool(ours.heard) == (mlflow == "mine")
    assert sum("send nothing to MLflow" in text for text in group.warnings) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite:///file:/x.db?uri=true",
        "sqlite:///x.db?mode=ro",
        "sqlite:///x.db?uri",
        "sqlite:///x.db?timeout=1&URI=1",
        "sqlite:///a%20b.db",
        "sqlite:///what%3F.db",
        "sqlite:///",
        "sqlite://",
        "sqlite://host/x.db",
        "SQLite:///x.db",
        "sqlite+aiosqlite:///x.db",
        "sqlite:///x\0.db",
    ],
)
def test_a_database_that_would_be_opened_elsewhere_is_refused(uri):
    with pytest.raises(DestinationError):
        tracking_uri(Tracking(uri=uri))
    assert not same_place(uri, "sqlite:///x.db")
    assert not list(Path().iterdir())


@pytest.mark.parametrize("name", ["x.db", "a#b.db", "50%.db", "x.db?timeout=3", "ü.db", "a b.db"])
def test_the_file_that_is_checked_is_the_file_that_is_opened(name, tmp_path):
    from sqlalchemy import create_engine, text

    uri = tracking_uri(Tracking(uri=f"sqlite:///{name}"))
    with create_engine(uri).connect() as connection:
        connection.execute(text("CREATE TABLE x (y)"))
    assert list(tmp_path.iterdir()) == [sqlite_file(uri)]


def test_a_folder_that_no_database_can_lie_in_is_told(tmp_path, monkeypatch, config):
    (tmp_path / "what?").mkdir()
    monkeypatch.chdir(tmp_path / "what?")
    config |= {"tracking": {}, "monitors": []}
    run = ebmcore.run(config, progress=False)
    (line,) = run.warnings
    assert "put MLflow's database into a folder with no % or ?" in line
    assert [file.name for file in Path().iterdir()] == ["runs"]


def test_an_unreadable_config_does_not_read_as_no_tracking(run_dir, calls):
    (run_dir / "config.yaml").write_text("tracking: [\n")
    found = sync(run_dir)
    assert (calls, found.outcome) == ([], "behind")
    assert "config.yaml" in found.note
    assert "--uri" in found.note
