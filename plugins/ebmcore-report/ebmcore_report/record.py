"""Read a run directory for a report, without trusting it and without any plugin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ebmcore import EbmError
from ebmcore.runs import (
    FIGURES,
    Account,
    SafeFiles,
    children_by_key,
    is_parent,
    layout,
    read_account,
    read_children,
    read_object,
)
from ebmcore_report.curves import Curve, read_curves

_LARGEST_EVALUATION = 16 * 1024**2  # bytes
_PICTURE = re.compile(  # a parent's have no step
    r"(?:(?:(?P<key>.+)-)?step-(?P<step>\d{1,18})|(?P<other>.+))\.png"
)


class Picture(NamedTuple):
    """A picture on the disk."""

    step: int
    file: str  # below the run directory
    size: int  # bytes


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run, or the parent of several."""

    account: Account
    label: str  # its seed or its values, or its name
    config: str  # the text of config.yaml, empty if it can't be read
    curves: Mapping[str, Curve]
    pictures: Mapping[str, list[Picture]]  # by monitor, or monitor/key; in the order of their steps
    evaluation: Mapping[str, Any]  # evaluation.json, empty if there is none
    evaluation_pictures: Mapping[str, list[Picture]]

    @property
    def files(self) -> SafeFiles:
        """The files of its directory."""
        return SafeFiles(self.account.path)

    @property
    def facts(self) -> Mapping[str, Any]:
        """The contents of run.json, whose values may be any JSON."""
        return self.account.facts

    @property
    def name(self) -> str:
        """Its name, or that of its directory."""
        return text_of(self.facts.get("name")) or self.account.path.name

    @property
    def warnings(self) -> list[str]:
        """The warnings that the run recorded."""
        found = self.facts.get("warnings")
        return [str(text) for text in found] if isinstance(found, list) else []

    @property
    def overrides(self) -> dict[str, str]:
        """The keys that the command line set over the config, as far as the run recorded them."""
        command = self.facts.get("command")
        words = [str(word) for word in command[2:]] if isinstance(command, list) else []
        found = {}
        for word in words:
            key, equals, value = word.partition("=")
            if equals and re.fullmatch(r"[A-Za-z_][\w.]*", key):
                found[key] = value
        return found


@dataclass(frozen=True, kw_only=True)
class Group:
    """The runs of one argument of the command: a run alone, or a parent and its children."""

    runs: list[Record]
    parent: Record | None = None

    @property
    def label(self) -> str:
        """The name of the parent, or of the run."""
        return (self.parent or self.runs[0]).name


@dataclass(frozen=True, kw_only=True)
class Shown:
    """All that a report shows."""

    groups: list[Group]
    runs: list[Record] = field(default_factory=list)

    @property
    def parents(self) -> list[Record]:
        """The parents of groups."""
        return [group.parent for group in self.groups if group.parent is not None]

    @property
    def with_pictures(self) -> list[Record]:
        """The parents whose pictures say more than the curves do, and the runs."""
        return [one for one in self.parents if one.facts.get("group") != "seeds"] + self.runs


def read_shown(run_dirs: list[Path]) -> Shown:
    """Read the runs of a report; a parent of others expands to its children.

    A run that is named twice, or beside its parent, counts once. Raises EbmError when one of the
    directories is no run.
    """
    groups: list[Group] = []
    seen: set[Path] = set()
    for run_dir in run_dirs:
        account = read_account(run_dir)
        if account.problem is not None:
            raise EbmError(f"{run_dir}: {account.problem}")
        parent, accounts = None, {"": account}
        if is_parent(account.facts):
            parent, accounts = read_record(account), children_by_key(read_children(run_dir))
        new = {}
        for key, one in accounts.items():
            if one.problem is None and (place := one.path.resolve()) not in seen:
                seen.add(place)
                new[key] = one
        if new or parent is not None:
            runs = [read_record(one, key) for key, one in sorted(new.items(), key=_by_number)]
            groups.append(Group(runs=runs, parent=parent))
    runs = [run for group in groups for run in group.runs]
    return Shown(groups=groups, runs=_with_own_labels(runs))


def _by_number(item: tuple[str, Account]) -> tuple[Any, ...]:
    """Order `trial-9` before `trial-10`."""
    return tuple((int(w), "") if w.isdigit() else (-1, w) for w in re.split(r"(\d+)", item[0]))


def _with_own_labels(runs: list[Record]) -> list[Record]:
    """Tell runs of one label apart by the names of their directories."""
    labels = [run.label for run in runs]
    for run in runs:
        if labels.count(run.label) > 1:
            object.__setattr__(run, "label", run.account.path.name)
    return runs


def read_record(account: Account, key: str = "") -> Record:
    """Read one run directory; what can't be read is left out."""
    files = SafeFiles(account.path)
    config, evaluation, curves = "", {}, {}
    with suppress(OSError, EbmError, UnicodeDecodeError):
        config = files.read(layout.CONFIG, layout.LARGEST_CONFIG).decode()
    with suppress(OSError, EbmError):
        found = files.read(f"{layout.EVALUATION}/evaluation.json", _LARGEST_EVALUATION)
        evaluation = read_object(found) or {}
    with suppress(OSError, EbmError):
        curves = read_curves(files)
    return Record(
        account=account,
        label=key or text_of(account.facts.get("name")) or account.path.name,
        config=config,
        curves=curves,
        pictures=_pictures(files, FIGURES),
        evaluation=evaluation,
        evaluation_pictures=_pictures(files, layout.EVALUATION),
    )


def _pictures(files: SafeFiles, folder: str) -> dict[str, list[Picture]]:
    found: dict[str, list[Picture]] = {}
    for name, picture in _all_pictures(files, folder):
        found.setdefault(name, []).append(picture)
    return {name: sorted(some) for name, some in sorted(found.items())}


def _all_pictures(files: SafeFiles, folder: str) -> Iterator[tuple[str, Picture]]:
    """Yield the plain PNG files of the folders in a folder."""
    with suppress(OSError, EbmError):
        for monitor in files.names(folder):
            with suppress(OSError, EbmError), files.folder(f"{folder}/{monitor}") as opened:
                names = opened.names()
            for file in names:
                if (match := _PICTURE.fullmatch(file)) is None:
                    continue
                path, step = f"{folder}/{monitor}/{file}", int(match["step"] or 0)
                with suppress(OSError, EbmError), files.open(path) as picture:
                    size = picture.seek(0, 2)
                    key = match["key"] or match["other"]
                    name = f"{monitor}/{key}" if key else monitor
                    yield name, Picture(step, path, size)


def text_of(value: Any) -> str:
    """Return a text that stands in a record, empty for anything else."""
    return value if isinstance(value, str) else ""
