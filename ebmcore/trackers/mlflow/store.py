"""Making MLflow's sqlite file: it stands in its place whole, or not at all.

MLflow makes its tables in the file's own place, step by step for some seconds; killed meanwhile, or
on a full disk, it leaves a file that it never can use again. Here it makes them in a file beside
the place, which then gets its name in one step. A half-made file that was left by MLflow itself is
set aside, under a name that says so; a database that holds anything never is.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ebmcore.runs.seal import give_name
from ebmcore.trackers.mlflow.trust import typed
from ebmcore.trackers.mlflow.uris import DestinationError

_WAIT = 5.0  # seconds that another process may hold the file before it counts as an outage
_STILL = 1.0  # seconds in which a file that is being made changes
_SIDES = ("-journal", "-wal", "-shm")  # what sqlite keeps beside a file
_TABLES = {"experiments", "runs", "metrics", "params", "tags"}  # MLflow's first ones
_FILLED = {"alembic_version", "workspaces"}  # which have rows before all tables are made


def ready(file: Path) -> list[str]:
    """See to it that MLflow finds a database in this place that is whole, and make it if need be.

    Returns what a person should know. The caller holds a lock against others of its kind. Raises
    DestinationError when another program's database is there, sqlite3.Error when the file can't be
    read or is in use, and what MLflow raises.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    for left in file.parent.glob(f".{_escaped(file.name)}.*.part*"):  # by a process that was killed
        left.unlink(missing_ok=True)
    notes = []
    if file.is_symlink() and not file.exists():
        raise DestinationError(f"{typed(str(file))}: is a link to a file that isn't there")
    if file.exists():
        if not _is_half_made(file):
            return []
        notes.append(f"{typed(str(file))} was left half-made by a process that was killed")
    if sides := [*_there(file)]:
        # sqlite would play the sides of a file that is gone into the new one
        broken = _set_aside(file, sides)
        notes.append(f"{', '.join(side.name for side in sides)} set aside as {broken.name}")
    _make(file)
    return ["; ".join(notes)] if notes else []


def _is_half_made(file: Path) -> bool:
    """Say whether MLflow was killed while it made a file, and nobody is at it now."""
    if not file.is_file():
        raise DestinationError(f"{typed(str(file))}: is no file, so it can't be MLflow's database")
    # opened for writing, so that sqlite undoes what a process was at when it was killed
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
        database.execute("BEGIN IMMEDIATE")  # raises when somebody else is writing
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
    """Say whether MLflow's tables are of a version before the one that it has when it is done."""
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
    except CommandError:  # of another MLflow, which knows better
        return False


def _marks(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_size, facts.st_mtime_ns


def _is_open(file: Path) -> bool:
    """Say whether another process of this user's has a file open, where the system tells."""
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
    """Yield a database's file and what sqlite keeps beside it, as far as they are there."""
    beside = (file.with_name(file.name + end) for end in ("", *_SIDES))
    return (place for place in beside if place.exists())


def _set_aside(file: Path, places: list[Path]) -> Path:
    """Give the files of a database another name, the file's own first; return its new one."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    broken = file.with_name(f"{file.name}.broken-{stamp}-{secrets.token_hex(2)}")
    for place in places:
        place.rename(broken.with_name(broken.name + place.name.removeprefix(file.name)))
    return broken


def _make(file: Path) -> None:
    """Let MLflow make its tables in a file beside the place, and give that its name when whole."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        _make_tables(f"sqlite:///{beside}")
        _to_disk(beside)
        give_name(beside, file)
        _to_disk(file.parent)
    finally:
        for place in [*_there(beside)]:
            place.unlink(missing_ok=True)


def _make_tables(uri: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    client.get_experiment("0")
    store = client._tracking_client.store  # its connections end here: the file gets another name
    if (engine := getattr(store, "engine", None)) is not None:
        engine.dispose()


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _to_disk(path: Path) -> None:
    """Wait until the disk has a file, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
