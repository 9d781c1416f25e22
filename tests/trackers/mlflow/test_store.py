"""MLflow's sqlite file, killed at any moment of its making: whole, or made anew, or set aside."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest
from sqlalchemy import NullPool, create_engine, text

import ebmcore
from ebmcore.trackers.mlflow.store import _unsynced, ready
from ebmcore.trackers.mlflow.sync import sync
from ebmcore.trackers.mlflow.uris import DestinationError

pytestmark = pytest.mark.slow

# it forks a process that makes a database, and kills it once its file has so many bytes
KILLER = """
import os, pathlib, signal, sys, time
from mlflow import MlflowClient
from ebmcore.trackers.mlflow.store import ready

def make_ours(file):
    ready(file)

def make_mlflows(file):
    MlflowClient(f"sqlite:///{file}").search_experiments()

make = {"ours": make_ours, "mlflow's": make_mlflows}[sys.argv[1]]
for folder, size in zip(sys.argv[2::2], map(int, sys.argv[3::2])):
    place = pathlib.Path(folder)
    place.mkdir()
    child = os.fork()
    if child == 0:
        os.chdir(place)
        make(place / "mlflow.db")
        os._exit(0)
    def bytes_of(file):
        try:
            return file.stat().st_size
        except FileNotFoundError:
            return -1
    def reached():
        return max(map(bytes_of, place.iterdir()), default=-1) >= size
    while not reached() and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.0005)
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
"""
SIZES = (0, 60_000, 700_000, 10**9)  # bytes; the last one is never reached


@pytest.fixture
def python(empty_store, forks, tmp_path):
    """Run code in a fork of a process that has imported MLflow."""

    def call(code, *arguments):
        return forks.run("-c", code, *arguments, cwd=tmp_path, env=dict(os.environ))

    return call


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr("ebmcore.trackers.mlflow.store._WAIT", 0.5)
    monkeypatch.setattr("ebmcore.trackers.mlflow.store._STILL", 0.1)


def killed(whose, tmp_path, python):
    """Kill the making of a database at several moments; return the folders."""
    folders = {tmp_path / f"at-{size}": size for size in SIZES}
    done = python(KILLER, whose, *(word for pair in folders.items() for word in pair))
    assert done.returncode == 0, done.stderr
    return list(folders)


def test_killed_at_any_moment_a_database_is_whole_or_absent(tmp_path, python):
    from mlflow import MlflowClient

    folders = killed("ours", tmp_path, python)
    there = [folder for folder in folders if (folder / "mlflow.db").exists()]
    assert there in ([], folders[-1:])
    for folder in folders[-2:]:
        file = folder / "mlflow.db"
        assert ready(file) == []  # nothing was in the way
        assert MlflowClient(f"sqlite:///{file}").search_experiments()
        assert [found.name for found in folder.iterdir()] == ["mlflow.db"]


def test_sqlite_syncs_every_file_but_the_one_that_is_being_made(tmp_path):
    def syncs(name):
        engine = create_engine(f"sqlite:///{tmp_path / name}", poolclass=NullPool)
        with engine.connect() as connection:
            return connection.execute(text("PRAGMA synchronous")).scalar()

    with _unsynced(tmp_path / "new.db"):
        assert [syncs("new.db"), syncs("other.db")] == [0, 2]
    assert syncs("new.db") == 2


def versions(file):
    with closing(sqlite3.connect(file)) as database:
        return database.execute("SELECT version_num FROM alembic_version").fetchall()


def test_what_mlflow_itself_left_half_made_is_set_aside(tmp_path, python):
    from mlflow import MlflowClient

    broken = 0
    for folder in killed("mlflow's", tmp_path, python):
        file = folder / "mlflow.db"
        notes = ready(file)
        assert MlflowClient(f"sqlite:///{file}").search_experiments()
        aside = [f for f in folder.glob("mlflow.db.broken-*") if f.suffix.count("-") == 3]
        assert len(notes) == len(aside) <= 1
        if notes:
            broken += 1
            assert "was left half-made by a process that was killed" in notes[0]
            assert aside[0].name in notes[0]
    assert 2 <= broken < len(SIZES)


@pytest.fixture(scope="module")
def half_made(tmp_path_factory):
    """What MLflow leaves when it is killed: its first tables, and no version of them."""
    file = tmp_path_factory.mktemp("half") / "mlflow.db"
    with closing(sqlite3.connect(file)) as database:
        for name in ("experiments", "runs", "metrics", "params", "tags", "alembic_version"):
            database.execute(f"CREATE TABLE {name} (version_num TEXT)")
    return file


@pytest.mark.parametrize("door", ["run", "sync"])
def test_a_run_and_a_sync_succeed_on_a_half_made_one(half_made, config, tmp_path, door):
    shutil.copyfile(half_made, tmp_path / "mlflow.db")
    if door == "run":
        config |= {"tracking": {"checkpoints": "none"}, "monitors": []}
        run = ebmcore.run(config, progress=False)
        assert run.mlflow["state"] == "complete", run.warnings
        said = " ".join(run.warnings)
    else:
        run = ebmcore.run(config, progress=False)
        found = sync(run.dir, uri="sqlite:///mlflow.db")
        assert found.outcome == "sent"
        said = found.note
    assert "was left half-made" in said
    (aside,) = tmp_path.glob("mlflow.db.broken-*")
    assert aside.read_bytes() == half_made.read_bytes()


def test_side_files_move_with_theirs_and_reach_no_other(half_made, tmp_path):
    file = tmp_path / "mlflow.db"
    shutil.copyfile(half_made, file)
    for end in ("-journal", "-wal", "-shm"):
        (tmp_path / f"mlflow.db{end}").write_bytes(b"\0" * 512)
    (note,) = ready(file)
    assert versions(file)
    kept = sorted(found.name.partition("broken-")[2][20:] for found in tmp_path.glob("*broken*"))
    assert kept[0] == ""
    assert "-journal" in kept or "-wal" in kept
    assert "was left half-made" in note
    file.unlink()
    (tmp_path / "mlflow.db-journal").write_bytes(b"\0" * 512)  # of a file that was deleted
    (note,) = ready(file)
    assert "mlflow.db-journal set aside" in note
    assert versions(file)


@pytest.mark.parametrize("who", ["writes", "has it open"])
def test_a_file_that_another_process_is_at_is_left_alone(half_made, tmp_path, who):
    file = tmp_path / "mlflow.db"
    shutil.copyfile(half_made, file)
    begin = "BEGIN IMMEDIATE" if who == "writes" else "SELECT * FROM runs"
    code = f"""
    import sqlite3, sys
    database = sqlite3.connect({str(file)!r}, isolation_level=None)
    database.execute({begin!r}).fetchall()
    print("at it", flush=True)
    sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"at it\n"
        with pytest.raises(sqlite3.OperationalError, match=r"locked|made by another process"):
            ready(file)
        assert file.read_bytes() == half_made.read_bytes()


def test_a_good_database_is_never_set_aside(empty_store, half_made, tmp_path):
    file = tmp_path / "mlflow.db"
    shutil.copyfile(empty_store, file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE alembic_version SET version_num = 'of an older MLflow'")
        database.commit()
        assert (tmp_path / "mlflow.db-wal").exists()
        assert ready(file) == []
    shutil.copyfile(half_made, file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("INSERT INTO runs VALUES ('a run of somebody')")
        database.commit()
    assert ready(file) == []
    assert not list(tmp_path.glob("*broken*"))


@pytest.mark.parametrize("kind", ["another program's", "no database", "a folder", "a link"])
def test_what_is_no_database_of_mlflows_is_left_alone(tmp_path, kind):
    file = tmp_path / "mlflow.db"
    if kind == "another program's":
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE mine (x)")
            database.execute("CREATE TABLE alembic_version (version_num)")
    elif kind == "no database":
        file.write_text("my notes, " * 1000)
    elif kind == "a link":
        file.symlink_to(tmp_path / "elsewhere.db")
    else:
        file.mkdir()
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises((DestinationError, sqlite3.DatabaseError)):
        ready(file)
    assert (file.read_bytes() if file.is_file() else None) == before
    assert [found.name for found in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_full_disk_leaves_no_half_made_file(tmp_path, config, python):
    config |= {"monitors": [], "tracking": {"checkpoints": "none"}}
    (tmp_path / "c.yaml").write_text(json.dumps(config))
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
        "from ebmcore.cli.main import main; "
        "sys.argv = ['ebmcore', 'run', 'c.yaml', '--json']; main()"
    )
    found = json.loads(python(code).stdout)
    assert found["status"] == "FINISHED"
    assert any("disk" in text or "full" in text for text in found["warnings"])
    assert {file.name for file in tmp_path.glob("*mlflow*")} <= {".mlflow.db.lock"}
    assert sync(found["run_dir"]).outcome == "sent"
