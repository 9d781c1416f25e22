"""Where a sweep's trials are: an Optuna storage, and the study in it that knows its definition."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebmcore.errors import EbmError
from ebmcore.sweep.definition import Sweep, read_sweep
from ebmcore.sweep.engine import make_pruner, make_sampler, quiet

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

ATTRIBUTE = "ebmcore"  # of a study: the definition, and where its runs are
_ATTEMPTS = 5  # to open a database that another process is making
_LOCKED = 60.0  # seconds that sqlite waits for another process that writes


def default_url(folder: Path, name: str) -> str:
    """Return the storage beside the runs, by which the same sweep is found again.

    It is sqlite, not a journal, since only there do workers give signs of life.
    """
    return f"sqlite:///{(folder / f'{name}.sweep.db').absolute()}"


def whole_url(url: str) -> str:
    """Return the same storage with a file named by its whole path, for processes elsewhere."""
    scheme, slashes, path = url.partition(":///")
    return f"{scheme}{slashes}{Path(path).absolute()}" if scheme in ("sqlite", "journal") else url


def open_storage(url: str, *, patience: int, retries: int) -> BaseStorage:
    """Open an Optuna storage. Raises EbmError when it can't be.

    Beside what Optuna takes there is journal:///PATH, a file for file systems without locks; there
    a joined worker that dies is not noticed, since a journal holds no signs of life.
    """
    import optuna

    try:
        with quiet():
            if url.startswith("journal:///"):
                from optuna.storages.journal import JournalFileBackend

                file = url.removeprefix("journal://")
                return optuna.storages.JournalStorage(JournalFileBackend(file))
            if url.startswith("redis"):
                return optuna.storages.get_storage(url)
            return _database(url, patience, retries)
    except Exception as error:  # of a driver, of a network, of a url that is none
        what = str(error).strip().splitlines()
        raise EbmError(
            f"storage {shown(url)}: can't be opened: {type(error).__name__}: {what[:1] and what[0]}"
        ) from error


def _database(url: str, patience: int, retries: int) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import OperationalError

    waits = {"connect_args": {"timeout": _LOCKED}} if url.startswith("sqlite") else {}
    for attempt in range(_ATTEMPTS):
        try:
            return RDBStorage(
                url,
                engine_kwargs=waits,
                heartbeat_interval=max(1, patience // 6),
                grace_period=patience,
                heartbeat_stale_trial_callback=try_again(retries),
            )
        except OperationalError as error:  # another process makes the tables right now
            if "already exists" not in str(error) or attempt + 1 == _ATTEMPTS:
                raise
            time.sleep(0.2 * 2**attempt)
    raise AssertionError


def try_again(retries: int | None) -> Callable[[Study, FrozenTrial], None]:
    """Return what puts a trial whose worker died back in the queue, so many times at most."""
    import optuna

    with quiet():
        return optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=retries)


def shown(url: str) -> str:
    """Return a url without the password that may stand in it."""
    head, at, tail = url.rpartition("@")
    scheme = head.partition("://")[0]
    return f"{scheme}://***@{tail}" if at else url


def begin_study(sweep: Sweep, storage: BaseStorage) -> Study:
    """Make a sweep's study, or return the one that was begun.

    Raises EbmError when it was begun with another base, space or objective.
    """
    import optuna

    study = optuna.create_study(
        study_name=sweep.name,
        storage=storage,
        direction=sweep.objective.direction,
        load_if_exists=True,
    )
    known = study.user_attrs.get(ATTRIBUTE)
    if known is None:
        if study.get_trials(deepcopy=False):
            raise EbmError(
                f"the study {sweep.name!r} is no sweep of ebmcore's; choose another name"
            )
        return study
    before, now = read_sweep(known["definition"]).question(), sweep.question()
    if changed := [key for key in now if before[key] != now[key]]:
        raise EbmError(
            f"the sweep {sweep.name!r} was begun with another {' and '.join(changed)}, and its "
            "trials can't be compared with new ones; give this sweep a `name` of its own"
        )
    return study


def remember(study: Study, sweep: Sweep, **facts: Any) -> None:
    """Write what workers need to know into the study, in place of what was there."""
    study.set_user_attr(ATTRIBUTE, {"definition": sweep.definition(), **facts})


def join_study(url: str, name: str | None, worker: str) -> tuple[Study, Sweep, dict[str, Any]]:
    """Open a sweep that somebody has begun: its study, its definition, where its runs are.

    Raises EbmError when there is none, or there are several and none is named.
    """
    import optuna

    file = Path(url.partition(":///")[2])
    if url.startswith(("sqlite:///", "journal:///")) and not file.is_file():
        raise EbmError(f"storage {url}: there is no such file, so there is no sweep to join")
    storage = open_storage(url, patience=60, retries=0)
    found = {}
    for summary in optuna.get_all_study_summaries(storage):
        if ATTRIBUTE in summary.user_attrs:
            found[summary.study_name] = summary.user_attrs[ATTRIBUTE]
    if name is None and len(found) == 1:
        (name,) = found
    if name is None or name not in found:
        there = ", ".join(sorted(found)) or "none"
        wanted = "say which by --study" if name is None and found else f"there is no {name!r}"
        wanted = "there is no sweep" if not found else wanted
        raise EbmError(f"storage {shown(url)}: {wanted}; sweeps there: {there}")
    facts = found[name]
    sweep = read_sweep(facts["definition"])
    study = optuna.load_study(
        study_name=name,
        storage=open_storage(url, patience=sweep.keys.patience, retries=sweep.keys.retries),
        sampler=make_sampler(sweep.sampler, worker),
        pruner=make_pruner(sweep.pruner),
    )
    return study, sweep, facts
