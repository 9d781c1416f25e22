"""Optuna's storages: the url of a sweep's storage, and how to open it safely."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebmcore import EbmError
from ebmcore.masking import is_masked, mask
from ebmcore_sweep.search.samplers import quiet
from ebmcore_sweep.storage.database import JournalLock, connect, examine, make_database
from ebmcore_sweep.storage.guarded import StorageError, guarded, one_message

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from ebmcore_sweep.search.definition import Sweep

STORAGE_VARIABLE = "EBMCORE_SWEEP_STORAGE"  # the url with its password, which no command line has
_SQLITE = ("sqlite", "sqlite+pysqlite")
_ATTEMPTS = 6  # to make tables that another process is making


def default_url(folder: Path, name: str) -> str:
    """Return the url of the storage beside the runs, where the same command finds it again.

    It is sqlite, not a journal, since only there do workers give signs of life.
    """
    return f"sqlite:///{(folder / f'{name}.sweep.db').absolute()}"


def named_url(given: str) -> str:
    """Return the url; in place of a masked one, that of EBMCORE_SWEEP_STORAGE.

    Raises EbmError when its password isn't there.
    """
    whole = os.environ.get(STORAGE_VARIABLE)
    if whole and mask(whole) == given:
        return whole
    if is_masked(given):
        raise EbmError(
            f"storage {given}: its password is masked; set {STORAGE_VARIABLE} to the whole url"
        )
    return given


def whole_url(url: str) -> str:
    """Return the same storage with a file named by its whole path, for processes elsewhere."""
    file = file_of(url)
    if file is None:
        return url
    return f"{'journal' if url.startswith('journal') else 'sqlite'}:///{file}"


def file_of(url: str) -> Path | None:
    """Return the file that a url names, None when it is a server. Raises EbmError for no url."""
    scheme, slashes, path = url.partition("://")
    if not slashes or not url.isprintable():
        raise EbmError(f"storage {mask(url)!r}: is no url, such as sqlite:////data/sweep.db")
    if scheme not in (*_SQLITE, "journal"):
        return None
    if "?" in path or not path.startswith("/") or path == "/" or path.endswith("/:memory:"):
        raise EbmError(
            f"storage {mask(url)}: should be {scheme}:/// and the path of a file whose name holds "
            "no `?`, since several processes open it"
        )
    return Path(path[1:]).absolute()


def variables(url: str) -> dict[str, str]:
    """Return what a process must have in its environment to join by the masked url."""
    return {} if mask(url) == url else {STORAGE_VARIABLE: url}


def join_hint(url: str) -> str:
    """Return a line that ends with the command to join, ready to paste into a shell."""
    secret = f", with {STORAGE_VARIABLE} set to the storage's whole url" if variables(url) else ""
    quoted = "'" + mask(url).replace("'", "'\\''") + "'"
    return f"to help{secret}: ebmcore sweep --join {quoted}"


def open_storage(url: str) -> BaseStorage:
    """Open an Optuna storage; whatever it raises from then on is a StorageError.

    Beside what Optuna takes there is journal:///PATH, a file for file systems without locks; there
    a joined worker that dies is not noticed, since a journal holds no signs of life. Raises
    EbmError when it can't be opened.
    """
    file = file_of(url)
    try:
        with quiet():
            refuse_pickles(url)
            if file is not None and url.startswith("journal"):
                return _journal(file, url)
            return _database(url, file)
    except EbmError:
        raise
    except Exception as error:  # of a driver, of a network, of a url that is none
        raise StorageError(one_message(url, error, "can't be opened")) from error


def refuse_pickles(url: str) -> None:
    """Raise EbmError when Optuna keeps pickles in a storage, which are code."""
    if url.startswith("redis"):
        raise EbmError(
            f"storage {mask(url)}: Optuna keeps pickles in redis, which are code that "
            "others may write; use a database, such as postgresql://…"
        )


def watch(storage: BaseStorage, sweep: Sweep, check: Callable[[FrozenTrial], None]) -> None:
    """Set an open storage's heartbeats as the sweep says, and the check of each trial it reads."""
    watched: Any = storage
    watched.check = check
    if hasattr(watched, "heartbeat_interval"):
        watched.heartbeat_interval = max(1, sweep.keys.patience // 6)
        watched.grace_period = sweep.keys.patience
        watched.heartbeat_stale_trial_callback = try_again(sweep.keys.retries)


def _journal(file: Path, url: str) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if file.exists() and not file.is_file():
        raise StorageError(f"storage {mask(url)}: is no plain file")
    lock: Any = JournalLock(file)  # it has what Optuna calls
    made: BaseStorage = guarded(JournalStorage, url)(JournalFileBackend(str(file), lock))
    return made


def _database(url: str, file: Path | None) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    settings: dict[str, Any] = {}
    if file is not None:
        make_database(file)
        examine(file)
        # a connection that is kept would go on with the pages that it knows of a damaged file
        settings = {"creator": lambda: connect(file), "poolclass": NullPool}
    template = url.replace("{", "{{").replace("}", "}}")  # which Optuna formats
    for attempt in range(_ATTEMPTS):
        try:
            made: BaseStorage = guarded(RDBStorage, url)(template, engine_kwargs=settings)
        except SQLAlchemyError as error:  # another process makes the tables right now
            made_now = any(words in str(error).lower() for words in ("already exists", "duplicate"))
            if not made_now or attempt + 1 == _ATTEMPTS:
                raise
            time.sleep(0.2 * 2**attempt)
        else:
            return made
    raise AssertionError


def try_again(retries: int | None) -> Callable[[Study, FrozenTrial], None]:
    """Return a callback that queues the trial of a dead worker again, at most `retries` times."""
    import optuna

    with quiet():
        return optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=retries)
