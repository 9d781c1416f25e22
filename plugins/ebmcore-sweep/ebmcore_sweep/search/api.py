"""The public functions of a sweep: check it, run or resume it, join it as a worker."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock, Timeout

from ebmcore import EbmError, Host
from ebmcore.config import Node
from ebmcore.distributed import RankInfo
from ebmcore.masking import mask
from ebmcore.runner import Prepared, prepare_source
from ebmcore.runs import BEST, SUMMARY, is_held, is_parent, read_account, runs_folder
from ebmcore_sweep.launchers import check_workers
from ebmcore_sweep.parent import Parent
from ebmcore_sweep.search.coordinator import Coordinator
from ebmcore_sweep.search.definition import Sweep, read_sweep
from ebmcore_sweep.search.report import (
    best_trial,
    columns,
    failures,
    headline,
    rows,
    write_report,
)
from ebmcore_sweep.search.samplers import need_optuna
from ebmcore_sweep.search.tally import RUN_DIR, Tally
from ebmcore_sweep.search.verify import launcher_node, make_launcher, overridden, verify
from ebmcore_sweep.search.worker import Parent as WorkersParent
from ebmcore_sweep.search.worker import Worker
from ebmcore_sweep.storage.probe import try_storage
from ebmcore_sweep.storage.store import (
    default_url,
    file_of,
    join_hint,
    named_url,
    variables,
    whole_url,
)
from ebmcore_sweep.storage.study import (
    ATTRIBUTE,
    Facts,
    join_study,
    known_sweep,
    open_study,
    own_tracking,
    remember,
    secrets_of,
    with_secrets,
)

if TYPE_CHECKING:
    from optuna import Study

GROUP = "sweep"
_BEGINS = 120.0  # seconds that another process may take to begin the same sweep


class Swept(NamedTuple):
    """The state of a sweep when its command ends."""

    sweep: Sweep
    found: Tally
    parent: Path
    url: str
    status: str
    signal: int | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON types."""
        best = best_trial(self.sweep, self.found)
        return {
            "status": self.status,
            "name": self.sweep.name,
            "run_dir": str(self.parent),
            "storage": mask(self.url),
            "complete": len(self.found.complete),
            "pruned": len(self.found.pruned),
            "failed": len(self.found.failed),
            "failures": failures(self.found),
            "best": best
            and {
                "trial": best.number,
                "value": best.value,
                "values": self.sweep.space.of(best.params),
                "run_dir": best.user_attrs.get(RUN_DIR),
                "config": str(self.parent / BEST),
            },
        }

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Return the columns and the rows of the summary."""
        return columns(self.sweep), rows(self.sweep, self.found)

    def lines(self) -> list[str]:
        """Return the lines below the table."""
        lines = [*failures(self.found), headline(self.sweep, self.found)]
        if best_trial(self.sweep, self.found) is not None:
            lines.append(f"best config: {self.parent / BEST}")
        return [*lines, f"sweep {self.status}: {self.parent} ({SUMMARY}, figures)"]


class CheckedSweep(NamedTuple):
    """A checked sweep, with the base and the launcher that it was checked against."""

    sweep: Sweep
    prepared: Prepared
    launcher: Node


def check_sweep(
    file: str | Path,
    plugins: Sequence[str] = (),
    *,
    launcher: str | None = None,
    strict_plugins: bool = False,
) -> CheckedSweep:
    """Read a sweep and check all of it. Raises ConfigError, PluginError or EbmError."""
    RankInfo.require_one_process("a sweep")
    sweep = read_sweep(file)
    need_optuna()
    given = sweep.launcher
    if launcher is not None and launcher != given["type"]:
        given = {"type": launcher}
    prepared = verify(sweep, plugins, strict_plugins=strict_plugins)
    return CheckedSweep(sweep, prepared, launcher_node(sweep, given, prepared.host))


def check_storage(checked: CheckedSweep, runs_dir: str | Path | None = None) -> str:
    """Try the storage of a sweep and write nothing; return its url, any password masked.

    Raises EbmError when it can't be used.
    """
    folder, url = _places(checked.sweep, runs_dir)
    try_storage(url, to_be_made=folder)
    return mask(url)


def _places(sweep: Sweep, runs_dir: str | Path | None) -> tuple[Path, str]:
    """Return the folder of the runs, and the whole url of the storage. Raises EbmError."""
    folder = runs_folder(runs_dir).absolute()
    url = whole_url(named_url(sweep.keys.storage or default_url(folder, sweep.name)))
    if sweep.keys.storage is None and (file := file_of(url)) is not None and file.is_symlink():
        raise EbmError(f"{file}: is a link to another place; name it as `storage` if it is yours")
    return folder, url


def run_sweep(
    checked: CheckedSweep,
    plugins: Sequence[str] = (),
    *,
    workers: int | None = None,
    runs_dir: str | Path | None = None,
    say: Callable[[str], None],
) -> Swept:
    """Begin a sweep, or resume it, and run it to its end.

    Raises EbmError before anything is started when its study was begun with another question, and
    when workers die in vain; after a signal it returns, and the same call goes on.
    """
    sweep, prepared, node = checked
    many = workers or sweep.keys.workers
    check_workers(min(many, sweep.budget.trials or many), many, node.type)
    folder, url = _places(sweep, runs_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        launcher = make_launcher(node)
        stack.callback(launcher.close)
        with _one_at_a_time(folder, sweep.name):
            study = open_study(sweep, url)
            parent = stack.enter_context(_parent(study, prepared, folder, url))
            vouched = remember(
                study,
                sweep,
                files=list(sweep.files),
                runs_dir=str(folder),
                parent={"run_dir": str(parent.path), "token": _token(parent)},
            )
        say(f"sweep {sweep.name}: {parent.path}; {join_hint(url)}")
        parent.wait_until_shown()
        files = [option for file in (*plugins, *sweep.files) for option in ("-p", file)]
        coordinator = Coordinator(
            study,
            sweep,
            launcher,
            url=url,
            workers=many,
            options=("--runs-dir", str(folder), *files),
            variables={**vouched, **variables(url), **secrets_of(sweep)},
            logs=parent.path / "logs",
            say=say,
        )
        found = coordinator.run()
        write_report(parent, study, sweep, found, plugins)
        number = coordinator.interrupts.number
        if number is not None:
            parent.status = "KILLED"
        elif not found.complete:
            parent.status = "FAILED"
        return Swept(sweep, found, parent.path, url, parent.status, number)


def join_sweep(
    url: str,
    plugins: Sequence[str] = (),
    *,
    study: str | None = None,
    worker: str | None = None,
    runs_dir: str | Path | None = None,
    say: Callable[[str], None],
) -> int:
    """Take trials of a sweep until there are none; return how many were ended here.

    Its local plugin files are code, and only imported when they are named in `plugins`. Where its
    runs go and are sent is the caller's own setting, unless this user's installation recorded what
    the database says. Raises EbmError when there is no such sweep, a file isn't named, or what the
    database holds is none of a sweep's; KeyboardInterrupt after a signal.
    """
    return make_worker(url, plugins, study=study, worker=worker, runs_dir=runs_dir, say=say).work()


def make_worker(
    url: str,
    plugins: Sequence[str] = (),
    *,
    study: str | None = None,
    worker: str | None = None,
    runs_dir: str | Path | None = None,
    say: Callable[[str], None],
) -> Worker:
    """Read all that a worker of `join_sweep` needs, and check it against this installation.

    Nothing is written or started. Raises EbmError as `join_sweep` does.
    """
    RankInfo.require_one_process("a sweep's worker")
    need_optuna()
    name = worker or f"joined-{secrets.token_hex(4)}"
    found, sweep, facts = join_study(whole_url(named_url(url)), study, name)
    given = {Path(plugin).name for plugin in plugins}
    if missing := [file for file in facts.files if Path(file).name not in given]:
        raise EbmError(
            f"the sweep {sweep.name!r:.80} uses local plugin files, which are code: name them by "
            + " ".join(f"-p {shlex.quote(file)}" for file in missing)
        )
    sweep, text = own_tracking(with_secrets(sweep), facts)
    if text:
        say(text)
    source = overridden(sweep, sweep.space.example(), sweep.name)
    prepare_source(source, plugins)  # a base that can't be trained here fails no trial
    folder, homes = _folders(facts, runs_dir)
    return Worker(
        found,
        sweep,
        name=name,
        parent=_workers_parent(facts, runs_folder(folder).absolute()),
        plugins=plugins,
        runs_dir=folder,
        homes=homes,
        say=say,
    )


def _workers_parent(facts: Facts, folder: Path) -> WorkersParent | None:
    """Return the sweep's run, None when the database alone says that another run is it."""
    place = Path(facts.run_dir)
    if not facts.own:
        place = folder / place.name
        if os.path.lexists(place) and not _is_sweeps(place):
            return None
    return WorkersParent(place, facts.token)


def _is_sweeps(place: Path) -> bool:
    facts = read_account(place).facts
    return is_parent(facts) and facts["group"] == GROUP and not place.is_symlink()


def _folders(facts: Facts, runs_dir: str | Path | None) -> tuple[str | Path | None, list[Path]]:
    """Return where a worker's runs go, and further folders in which it may go on with runs."""
    if not facts.own:
        return runs_dir, []
    known = Path(facts.runs_dir)
    return (known if runs_dir is None and known.is_dir() else runs_dir), [known]


@contextlib.contextmanager
def _one_at_a_time(folder: Path, name: str) -> Iterator[None]:
    """Keep other processes from beginning this sweep in this folder. Raises EbmError."""
    slug = "".join(c if c.isalnum() or c in "-." else "-" for c in name)[:100]
    lock = FileLock(folder / f".{slug}.sweep.lock", timeout=_BEGINS)
    try:
        with lock:
            yield
    except Timeout as error:
        raise EbmError(f"{folder}: another process is beginning the sweep {name!r}") from error


def _parent(study: Study, prepared: Prepared, runs_dir: Path, url: str) -> Parent:
    """Begin the parent run, or resume the one that the study names, if it is this user's."""
    tracking = prepared.config.tracking
    if ATTRIBUTE in study.user_attrs:
        facts = known_sweep(study)[1]
        place = Path(facts.run_dir) if facts.own else runs_dir / Path(facts.run_dir).name
        if _is_sweeps(place):
            try:
                return Parent.resume(place, tracking)
            except EbmError as error:
                if not is_held(place):
                    raise
                raise EbmError(f"{error}; {join_hint(url)}") from error
    host: Host = prepared.host
    return Parent.begin(
        GROUP, prepared.config.record, tracking=tracking, host=host, runs_dir=runs_dir
    )


def _token(parent: Parent) -> str | None:
    target = parent.mlflow_target
    return None if target is None else target.token
