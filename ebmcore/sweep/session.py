"""The doors of a sweep: to begin or go on with one, and to help one that somebody has begun."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ebmcore.config import Node
from ebmcore.errors import EbmError
from ebmcore.plugins import Host
from ebmcore.runner.api import Prepared
from ebmcore.runner.place import Place
from ebmcore.runs.layout import BEST, SUMMARY
from ebmcore.sweep.coordinator import Coordinator
from ebmcore.sweep.definition import Sweep, read_sweep
from ebmcore.sweep.engine import need_optuna
from ebmcore.sweep.report import (
    best_trial,
    columns,
    failures,
    headline,
    rows,
    write_report,
)
from ebmcore.sweep.store import (
    ATTRIBUTE,
    begin_study,
    default_url,
    join_study,
    open_storage,
    remember,
    shown,
    whole_url,
)
from ebmcore.sweep.tally import Tally
from ebmcore.sweep.verify import launcher_node, make_launcher, verify
from ebmcore.sweep.worker import RUN_DIR, Worker
from ebmcore.tracking import Parent, runs_folder

if TYPE_CHECKING:
    from optuna import Study


class Swept(NamedTuple):
    """How a sweep stands when its command ends."""

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
            "storage": shown(self.url),
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
        """Return what is said below the table."""
        lines = [*failures(self.found), headline(self.sweep, self.found)]
        if best_trial(self.sweep, self.found) is not None:
            lines.append(f"best config: {self.parent / BEST}")
        return [*lines, f"sweep {self.status}: {self.parent} ({SUMMARY}, figures)"]


class Checked(NamedTuple):
    """A sweep that was held against everything, and what it was held against."""

    sweep: Sweep
    prepared: Prepared
    launcher: Node


def check_sweep(
    file: str | Path,
    plugins: Sequence[str] = (),
    *,
    launcher: str | None = None,
    strict_plugins: bool = False,
) -> Checked:
    """Read a sweep and check all of it. Raises ConfigError, PluginError or EbmError."""
    Place.refuse_several("a sweep")
    sweep = read_sweep(file)
    need_optuna()
    given = sweep.launcher
    if launcher is not None and launcher != given["type"]:
        given = {"type": launcher}
    prepared = verify(sweep, plugins, strict_plugins=strict_plugins)
    return Checked(sweep, prepared, launcher_node(sweep, given, prepared.host))


def run_sweep(
    checked: Checked,
    plugins: Sequence[str] = (),
    *,
    workers: int | None = None,
    runs_dir: str | Path | None = None,
    say: Callable[[str], None],
) -> Swept:
    """Begin a sweep, or go on with it where it was left, and see it to its end.

    Raises EbmError before anything is started when its study was begun with another question, and
    when workers die in vain; after a signal it returns, and the same call goes on.
    """
    sweep, prepared, node = checked
    launcher = make_launcher(node)
    folder = runs_folder(runs_dir).absolute()
    url = whole_url(sweep.keys.storage or default_url(folder, sweep.name))
    folder.mkdir(parents=True, exist_ok=True)
    storage = open_storage(url, patience=sweep.keys.patience, retries=sweep.keys.retries)
    study = begin_study(sweep, storage)
    with _parent(study, prepared, folder) as parent:
        facts = {"run_dir": str(parent.path), "token": _token(parent)}
        remember(study, sweep, files=list(sweep.files), runs_dir=str(folder), parent=facts)
        say(f"sweep {sweep.name}: {parent.path}; to help: ebmcore sweep --join '{shown(url)}'")
        files = [option for file in (*plugins, *sweep.files) for option in ("-p", file)]
        coordinator = Coordinator(
            study,
            sweep,
            launcher,
            url=url,
            workers=workers or sweep.keys.workers,
            options=("--runs-dir", str(folder), *files),
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

    Its local plugin files are code, and only imported when they are named in `plugins`. Raises
    EbmError when there is no such sweep, or a file isn't named; KeyboardInterrupt after a signal.
    """
    Place.refuse_several("a sweep's worker")
    need_optuna()
    name = worker or f"joined-{secrets.token_hex(4)}"
    found, sweep, facts = join_study(whole_url(url), study, name)
    given = {Path(plugin).name for plugin in plugins}
    if missing := [file for file in facts["files"] if Path(file).name not in given]:
        raise EbmError(
            f"the sweep {sweep.name!r} uses local plugin files, which are code: name them by "
            + " ".join(f"-p {file}" for file in missing)
        )
    folder = runs_dir
    if folder is None and Path(facts["runs_dir"]).is_dir():
        folder = facts["runs_dir"]
    return Worker(
        found,
        sweep,
        name=name,
        parent=facts["parent"],
        plugins=plugins,
        runs_dir=folder,
        say=say,
    ).work()


def _parent(study: Study, prepared: Prepared, runs_dir: Path) -> Parent:
    """Begin the parent run, or take up the one that the study names."""
    known = study.user_attrs.get(ATTRIBUTE)
    tracking = prepared.config.tracking
    if known is not None and (Path(known["parent"]["run_dir"]) / "run.json").is_file():
        return Parent.resume(known["parent"]["run_dir"], tracking)
    host: Host = prepared.host
    return Parent.begin(
        "sweep", prepared.config.record, tracking=tracking, host=host, runs_dir=runs_dir
    )


def _token(parent: Parent) -> str | None:
    return None if parent.mirror is None else parent.mirror.remote.target.token
