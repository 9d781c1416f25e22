"""Make MLflow's sqlite file: it is in its place whole, or not at all.

MLflow makes its tables in the file's own place, step by step for some seconds; killed meanwhile, or
on a full disk, it leaves a file that it never can use again. Here it makes them in a file beside
the place, which is then renamed in one step. A half-made file that MLflow itself left is renamed
to `….broken-…`; a database that holds anything never is.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ebmcore.runs.user_signature import give_name
from ebmcore.trackers.mlflow.trusted_destinations import typed
from ebmcore.trackers.mlflow.uris import DestinationError

_WAIT = 5.0  # seconds that another process may hold the file before it counts as an outage
_STILL = 1.0  # seconds within which an unfinished file changes
_SIDES = ("-journal", "-wal", "-shm")  # sqlite's files beside a database
_TABLES = {"experiments", "runs", "metrics", "params", "tags"}  # MLflow's first ones
_FILLED = {"alembic_version", "workspaces"}  # tables that have rows before all tables exist


def ready(file: Path) -> list[str]:
    """Make sure that there is a whole database for MLflow in this place; make it if need be.

    Returns notes for the user. The caller holds a lock against other callers. Raises
    DestinationError when another program's database is there, sqlite3.Error when the file can't be
    read or is in use, and MLflow's own errors.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(f".{_escaped(file.name)}.*.part*"):  # left by a killed process
        left.unlink(missing_ok=True)
    notes = []
    if file.is_symlink() and not file.exists():
        raise DestinationError(f"{typed(str(file))}: is a link to a file that isn't there")
    if file.exists():
        if not _is_half_made(file):
            return []
        notes.append(f"{typed(str(file))} was left half-made by a process that was killed")
    if sides := [*_there(file)]:
        # sqlite would replay the journal of a deleted file into the new one
        broken = _set_aside(file, sides)
        notes.append(f"{', '.join(side.name for side in sides)} set aside as {broken.name}")
    _make(file)
    return ["; ".join(notes)] if notes else []


def _is_half_made(file: Path) -> bool:
    """Tell whether MLflow was killed while it made a file, and no process uses it now."""
    if not file.is_file():
        raise DestinationError(f"{typed(str(file))}: is no file, so it can't be MLflow's database")
    # opened for writing, so that sqlite rolls back a killed process's transaction
    with closing(sqlite3.connect(file, timeout=_WAIT, isolation_level=None)) as database:
        listed = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {str(name) for (name,) in listed if not str(name).startswith("sqlite_")}
        if tables and not tables & _TABLES:
            raise DestinationError(
                f"{typed(str(file))}: is another program's database; name another file for MLflow's"
            )
        if any(_rows(database, table) for table in sorted(tables - _FILLED)):
            return False  # a whole one has an experiment at least
        versions = _rows(database, "alembic_version") if "alembic_version" in tables else []
        if versions and not _is_on_the_way(str(versions[0][0])):
            return False
        database.execute("BEGIN IMMEDIATE")  # raises when another process is writing
    before = _marks(file)
    time.sleep(_STILL)
    if _marks(file) != before or _is_open(file):
        raise sqlite3.OperationalError(f"{file}: is being made by another process")
    return True


def _rows(database: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    """Return a row of a table, if it has any."""
    name = table.replace('"', '""')
    return database.execute(f'SELECT * FROM "{name}" LIMIT 1').fetchall()


def _is_on_the_way(version: str) -> bool:
    """Tell whether MLflow's tables have an older version than finished ones."""
    import mlflow
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option(
        "script_location", str(Path(mlflow.__file__).parent / "store" / "db_migrations")
    )
    steps = ScriptDirectory.from_config(config)
    try:
        return steps.get_revision(version) is not None and version not in steps.get_heads()
    except CommandError:  # made by another version of MLflow; leave it alone
        return False


def _marks(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns


def _is_open(file: Path) -> bool:
    """Tell whether another process of this user has a file open, if the system can tell."""
    mine, facts = str(os.getpid()), file.stat()
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            found = handle.stat()
        except OSError:  # it ended, or isn't ours
            continue
        same = (found.st_dev, found.st_ino) == (facts.st_dev, facts.st_ino)
        if same and handle.parts[2] != mine:
            return True
    return False


def _there(file: Path) -> Iterator[Path]:
    """Yield a database's file and sqlite's files beside it, as far as they exist."""
    beside = (file.with_name(file.name + end) for end in ("", *_SIDES))
    return (place for place in beside if place.exists())


def _set_aside(file: Path, places: list[Path]) -> Path:
    """Rename the files of a database, the main one first; return its new name."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    broken = file.with_name(f"{file.name}.broken-{stamp}-{secrets.token_hex(2)}")
    for place in places:
        place.rename(broken.with_name(broken.name + place.name.removeprefix(file.name)))
    return broken


def _make(file: Path) -> None:
    """Create MLflow's tables in a temporary file beside the place, and rename the whole file."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        with _unsynced(beside):
            _make_tables(f"sqlite:///{beside}")
        _to_disk(beside)
        give_name(beside, file)
        _to_disk(file.parent)
    finally:
        for place in [*_there(beside)]:
            place.unlink(missing_ok=True)


@contextmanager
def _unsynced(file: Path) -> Iterator[None]:
    """Keep sqlite from syncing a new file to the disk at each of hundreds of statements."""
    from sqlalchemy import Engine, event

    def connected(connection: Any, record: object) -> None:
        (place,) = (row[2] for row in connection.execute("PRAGMA database_list"))
        if Path(place).name == file.name:  # other threads connect to databases in use
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = MEMORY")

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)


def _make_tables(uri: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    client.get_experiment("0")
    store = client._tracking_client.store  # close its connections: the file is renamed
    if (engine := getattr(store, "engine", None)) is not None:
        engine.dispose()


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _to_disk(path: Path) -> None:
    """Sync a file, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
