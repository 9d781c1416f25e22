"""`ebmcore runs list`: the runs of a folder, the newest first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebmcore.cli.output import Answer, AsJson, RunsDir, answering, out, say, table
from ebmcore.errors import EbmError
from ebmcore.terminal import duration, one_line

if TYPE_CHECKING:
    from ebmcore.runs.status import Account


@answering
def command(runs_dir: RunsDir = None, as_json: AsJson = False) -> Answer:
    """List the runs, the newest first. Writes nothing.

    A run whose process is gone is KILLED.
    """
    from ebmcore.runs.parent_child import parent_and_children
    from ebmcore.runs.status import read_account

    accounts = [read_account(path) for path in run_dirs(runs_dir)]
    accounts.sort(key=lambda account: (account.started or 0.0, account.path.name), reverse=True)
    found = [{**account.document(), **parent_and_children(account)} for account in accounts]
    return Answer(found, lambda: _show(accounts, found))


def run_dirs(runs_dir: str | None) -> list[Path]:
    """Return the run directories in a folder. Raises EbmError when there is no such folder."""
    from ebmcore.runs.directory import runs_folder

    folder = runs_folder(runs_dir)
    if not folder.is_dir():
        raise EbmError(f"{folder}: no such folder; --runs-dir names the one that holds the runs")
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _show(accounts: list[Account], found: list[dict[str, Any]]) -> None:
    if not accounts:
        out("no runs")
        return
    rows = [
        (
            _named(account, document),
            account.status,
            counted(document["children"]) or steps(account),
            moment(account.started),
            duration(account.seconds),
            "-" if account.loss is None else f"{account.loss:.6g}",
            account.mlflow or "-",
        )
        for account, document in zip(accounts, found, strict=True)
    ]
    table(("run", "status", "step", "started", "took", "loss", "MLflow"), rows)
    for account in accounts:
        for text in remarks(account):
            say(f"{one_line(account.path.name)}: {text}")


def _named(account: Account, document: dict[str, Any]) -> list[str]:
    parent = document["parent"]
    return [account.path.name, *(() if parent is None else (f"  child of {parent['name']}",))]


def counted(children: dict[str, int] | None) -> str:
    """Say how many children a parent has and how they are, nothing of a run that is no parent."""
    if children is None:
        return ""
    whole = sum(children.values())
    states = ", ".join(f"{count} {status}" for status, count in children.items())
    noun = "child" if whole == 1 else "children"
    return f"{whole} {noun}: {states}" if whole else f"0 {noun}"


def remarks(account: Account) -> list[str]:
    """Return what a person should know of a run beside its facts."""
    found = [] if account.problem is None else [one_line(account.problem)]
    if account.process_gone:
        found.append(f"its process is gone; `ebmcore runs sync {account.path}` records that")
    elif account.mlflow == "behind":
        found.append(f"MLflow lacks some of it; `ebmcore runs sync {account.path}` sends it")
    return found


def steps(account: Account) -> str:
    """Return the step that the run got to, and how many there are to be, if that is known."""
    step = "-" if account.step is None else str(account.step)
    return step if account.steps is None else f"{step}/{account.steps}"


def moment(stamp: float | None) -> str:
    """Return a local date and time of seconds since 1970."""
    if stamp is None:
        return "-"
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stamp))
    except (OverflowError, ValueError, OSError):
        return "-"
