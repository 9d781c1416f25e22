"""Parent and child runs: how each of the two refers to the other.

The environment makes a run a child, wherever it runs:

    EBMCORE_PARENT       the parent's run directory
    EBMCORE_PARENT_KEY   the parent's name for this child, such as seed-3 or trial-7
    EBMCORE_PARENT_RUN   the value of the tag `ebmcore.run` of the parent's MLflow run; only needed
                         if the child can't read the parent's directory
    EBMCORE_PARENT_LABEL the child in a few words, such as lr=0.01, for a tracker's list of runs

The child writes all that into its run.json, and its name into the parent's folder `children`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ebmcore.errors import DirectoryError
from ebmcore.runs.layout import CHILDREN, LARGEST_NOTE, RUN_JSON
from ebmcore.runs.safe_files import SafeFiles
from ebmcore.runs.status import Account, read_account

PARENT_VARIABLE = "EBMCORE_PARENT"
KEY_VARIABLE = "EBMCORE_PARENT_KEY"
RUN_VARIABLE = "EBMCORE_PARENT_RUN"
LABEL_VARIABLE = "EBMCORE_PARENT_LABEL"
_TEXT = 500  # characters of a name or a key
_TOKEN = re.compile(r"[\w.-]{1,200}", re.ASCII)


class ParentReference(NamedTuple):
    """The reference to a parent that a child's run.json holds under `parent`."""

    name: str  # of the parent's run directory
    run_dir: str  # its whole path, where the child ran
    key: str | None = None
    token: str | None = None  # of its MLflow run
    label: str | None = None  # the child in a few words


def parent_from_environment() -> ParentReference | None:
    """Return the parent that the environment names for a new run, None if it names none."""
    named = os.environ.get(PARENT_VARIABLE)
    if not named:
        return None
    folder = Path(named).absolute()
    token = fitting_token(os.environ.get(RUN_VARIABLE)) or _token(folder)
    key, label = (os.environ.get(name) or None for name in (KEY_VARIABLE, LABEL_VARIABLE))
    return ParentReference(folder.name, str(folder), key, token, label)


def register_child(run_dir: Path, reference: ParentReference) -> None:
    """Write a child's name into its parent's folder, if this machine has that folder.

    Raises DirectoryError when a link or another special file is in the way there.
    """
    parent = Path(reference.run_dir)
    if not (parent / RUN_JSON).is_file():
        return
    note = {"run_dir": str(run_dir.absolute()), "key": reference.key}
    with suppress(OSError):
        text = json.dumps(note) + "\n"
        SafeFiles(parent).replace(f"{CHILDREN}/{run_dir.name}.json", text.encode())


def recorded_parent(facts: Mapping[str, Any]) -> ParentReference | None:
    """Return the parent that a run.json names; trusts nothing in it."""
    found = facts.get("parent")
    if not isinstance(found, Mapping):
        return None
    name, run_dir, key, label = (
        value[:_TEXT] if isinstance(value, str) and value else None
        for value in map(found.get, ("name", "run_dir", "key", "label"))
    )
    if name is None or Path(name).name != name:
        return None
    return ParentReference(name, run_dir or name, key, fitting_token(found.get("token")), label)


def parent_token(run_dir: Path) -> str | None:
    """Return the token of the parent's run in MLflow, None if a run has no parent there."""
    reference = recorded_parent(read_account(run_dir).facts)
    if reference is None:
        return None
    return (
        reference.token
        or _token(run_dir.absolute().parent / reference.name)
        or _token(Path(reference.run_dir))
    )


def child_folders(parent: str | Path) -> list[Path]:
    """Return the directories of a parent's children, as far as they exist.

    If one isn't where it ran, looks for it beside the parent.
    """
    files = SafeFiles(parent)
    found: list[Path] = []
    try:
        notes = [name for name in files.names(CHILDREN) if name.endswith(".json")]
    except (OSError, DirectoryError):
        return []
    for note in notes:
        stem = note.removesuffix(".json")
        places = (Path(parent).parent / stem, *_noted(files, stem))
        there = (place for place in places if (place / RUN_JSON).is_file())
        found += [place for place in there if _is_child(place, Path(parent))][:1]
    return found


def read_children(parent: str | Path) -> list[Account]:
    """Read the records of a parent's children, in the order of their start."""
    accounts = map(read_account, child_folders(parent))
    return sorted(accounts, key=lambda account: (account.started or 0.0, account.path.name))


def children_by_key(accounts: Iterable[Account]) -> dict[str, Account]:
    """Return one child for each key: one that FINISHED, else the last to start."""
    found: dict[str, Account] = {}
    for account in accounts:
        reference = recorded_parent(account.facts)
        key = account.path.name if reference is None or reference.key is None else reference.key
        if key not in found or found[key].status != "FINISHED":
            found[key] = account
    return found


def is_parent(facts: Mapping[str, Any]) -> bool:
    """Tell whether a run.json belongs to a parent, whose children do the work."""
    return isinstance(facts.get("group"), str)


def is_seed_group(run_dir: str | Path) -> bool:
    """Tell whether a directory is that of a group of seeds, as its run.json has it."""
    return read_account(run_dir).facts.get("group") == "seeds"


def parent_and_children(account: Account) -> dict[str, Any]:
    """Return a run's parent and children, as JSON types.

    `children` counts a parent's children by status, and is None for a run that is no parent.
    """
    reference = recorded_parent(account.facts)
    children: dict[str, int] | None = None
    if is_parent(account.facts):
        statuses = [child.status for child in children_by_key(read_children(account.path)).values()]
        children = {status: statuses.count(status) for status in sorted(set(statuses))}
    parent = None if reference is None else {"name": reference.name, "key": reference.key}
    return {"parent": parent, "children": children}


def _noted(files: SafeFiles, stem: str) -> Iterable[Path]:
    """Return the path that a child recorded, if its folder has that name."""
    try:
        note = json.loads(files.read(f"{CHILDREN}/{stem}.json", LARGEST_NOTE))
        place = Path(note["run_dir"])
    except (OSError, DirectoryError, ValueError, KeyError, TypeError, RecursionError):
        return ()
    return (place,) if place.name == stem else ()


def _is_child(place: Path, parent: Path) -> bool:
    reference = recorded_parent(read_account(place).facts)
    return reference is not None and reference.name == parent.absolute().name


def _token(folder: Path) -> str | None:
    found = read_account(folder).facts.get("mlflow")
    if not isinstance(found, Mapping) or not (found.get("uri") and isinstance(found["uri"], str)):
        return None
    return fitting_token(found.get("token"))


def fitting_token(token: Any) -> str | None:
    """Return a token that may be the value of the tag `ebmcore.run`, None for anything else."""
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else None
