"""The files of a sweep: a sqlite database, checked for damage and code, and a journal's lock."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ebmcore_sweep.storage.guarded import StorageError, one_message

_WAIT = 60.0  # seconds that a process waits for another one that writes
_LONGEST = 16 * 1024 * 1024  # bytes of a value
_LOOKED_THROUGH = 256 * 1024 * 1024  # bytes of a database that is looked through for damage
_TABLES = {"studies", "trials", "version_info"}  # among Optuna's
_STALE = 30.0  # seconds after which a journal's lock that never changes is a dead process's
_PATIENCE = 120.0  # seconds that a journal's lock is waited for


def make_database(file: Path) -> None:
    """Make a database with Optuna's tables, where there is no file yet.

    It is made beside its place and then gets its name in one step, so that of two processes that
    begin at once each finds it whole. Raises OSError, and what Optuna raises.
    """
    if os.path.lexists(file):
        return
    from optuna.storages import RDBStorage

    beside = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        storage = RDBStorage(
            "sqlite:///making.db", engine_kwargs={"creator": lambda: _connection(beside, "rwc")}
        )
        storage.remove_session()
        storage.engine.dispose()
        try:
            os.link(beside, file)
        except FileExistsError:  # the other one was first
            pass
        except OSError:  # a file system without hard links
            if not os.path.lexists(file):
                beside.rename(file)
    finally:
        for left in (beside, beside.with_name(f"{beside.name}-journal")):
            left.unlink(missing_ok=True)


def connect(file: Path) -> sqlite3.Connection:
    """Connect to an existing database; code in it can't call SQL functions that do harm."""
    connection = _connection(file, "rw")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _connection(file: Path, mode: str) -> sqlite3.Connection:
    # the path is quoted whole, so the file that is opened is the one that is named
    address = f"file:{quote(str(file))}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=_WAIT, check_same_thread=False)


def examine(file: Path) -> None:
    """Raise StorageError when a file is no database of Optuna's, holds more, or is damaged.

    A view or a trigger would run whenever a table is read or written, for as long as it likes.
    """
    url = f"sqlite:///{file}"
    if not file.is_file():
        raise StorageError(f"storage {url}: is no plain file")
    try:
        with closing(connect(file)) as connection:
            schema = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            if file.stat().st_size <= _LOOKED_THROUGH:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")
    except sqlite3.Error as error:
        raise StorageError(one_message(url, error, "can't be read")) from error
    tables = {name for kind, name, _ in schema if kind == "table"}
    if tables and not tables >= _TABLES:
        raise StorageError(
            f"storage {url}: is another program's database; give the sweep another `storage`"
        )
    for kind, name, text in schema:
        virtual = kind == "table" and str(text).lstrip().upper().startswith("CREATE VIRTUAL")
        if kind not in ("table", "index") or virtual:
            raise StorageError(
                f"storage {url}: holds the {'virtual table' if virtual else kind} {name!r:.80}, "
                "which Optuna never makes and which would run on its own; don't use it"
            )


class JournalLock:
    """The lock of a journal: a link beside it, which file systems without locks make as well.

    Optuna's own is waited for without end where somebody else made a link that leads nowhere.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = file.with_name(f"{file.name}.lock")

    def acquire(self) -> bool:
        """Take it. Raises StorageError when another one holds it for too long."""
        began = seen_since = time.monotonic()
        seen: tuple[int, int] | None = None
        pause = 0.001
        while True:
            try:
                os.symlink(self._file.name, self._lock)
                return True
            except FileExistsError:
                pass
            now = time.monotonic()
            if (mark := self._mark()) != seen:
                seen, seen_since = mark, now
            elif mark is not None and now - seen_since > _STALE:
                self._take_away()
            if now - began > _PATIENCE:
                raise StorageError(
                    f"storage journal:///{self._file}: another process holds {self._lock}; if "
                    "there is none, delete that file"
                )
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def release(self) -> None:
        """Give it back. Raises RuntimeError when it isn't there."""
        if not self._take_away():
            raise RuntimeError(f"{self._lock}: was taken away")

    def _mark(self) -> tuple[int, int] | None:
        """Return the lock's inode and the journal's size, which grows while the holder lives."""
        try:
            size = self._file.stat().st_size
            return self._lock.lstat().st_ino, size
        except OSError:
            return None

    def _take_away(self) -> bool:
        """Delete it, renamed first, so that two processes can't delete two locks in a row."""
        beside = self._lock.with_name(f"{self._lock.name}-{secrets.token_hex(8)}")
        try:
            self._lock.rename(beside)
            beside.unlink()
        except OSError:
            return False
        return True
