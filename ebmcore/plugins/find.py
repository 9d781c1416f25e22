"""Find plugins, importing none: entry points of installed distributions, and local files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ebmcore.plugins.installed import distributions, read_metadata

API = 1  # the major version of hooks.py
GROUP = f"ebmcore.v{API}"
_ANY_GROUP = re.compile(r"ebmcore\.v\d+")


class Found(NamedTuple):
    """One plugin, as its metadata describes it."""

    name: str  # the entry point's name, or the local file's without .py
    target: str  # the module to import, or the local file's path
    distribution: str = ""  # empty for a local file
    version: str = ""
    api: int = API
    requires: tuple[str, ...] = ()  # the distribution's requirements
    sha256: str = ""  # of a local file
    is_file: bool = False  # a local file rather than an installed distribution
    fault: str = ""  # why it can't be loaded, if its metadata or its path shows that

    @property
    def origin(self) -> str:
        """The plugin's source, for messages: the distribution and its version, or the file."""
        where = "" if self.is_file else f"{self.distribution} {self.version}".strip()
        return where or self.target


def find(files: Iterable[str | Path] = ()) -> tuple[Found, ...]:
    """List the installed plugins, sorted by name, then the local files in the order given.

    Lists a file once that is named twice, or of which a run keeps a copy.
    """
    local: dict[tuple[str, str], Found] = {}
    for found in map(find_file, files):
        local.setdefault((found.name, found.sha256 or found.target), found)
    return (*find_installed(), *local.values())


def find_installed() -> tuple[Found, ...]:
    """List the plugins of every API version among the installed distributions.

    A distribution with unreadable metadata hides no other: it is listed with its fault if it
    is recognisable as a plugin, and skipped if not.
    """
    found: set[Found] = set()
    for there in distributions():
        try:
            text = there.read_text("entry_points.txt") or ""
        except Exception:  # unreadable, so its owner is unknown
            continue
        if GROUP.rstrip("0123456789") in text:
            found.update(_offered_by(there, text))
    return tuple(sorted(found))


def _offered_by(there: Any, text: str) -> list[Found]:
    """List one distribution's plugins; if it is on the path twice, those of the first."""
    name, version, fault = "", "", ""
    requires: tuple[str, ...] = ()
    try:
        name = read_metadata(there).name
        if not name:
            raise ValueError("A distribution name is required.")
        there = next(distributions(name), there)  # its folder may have another name
        _, version, requires = read_metadata(there)
        text = there.read_text("entry_points.txt") or ""
    except Exception as error:
        fault = f"its distribution's metadata can't be read: {type(error).__name__}: {error}"
    return [
        Found(
            name=line.partition("=")[0].strip(),
            target=line.partition("=")[2].strip(),
            distribution=name,
            version=version,
            api=int(group.rpartition(".v")[2]),
            requires=requires,
            fault=fault
            or ("" if "=" in line else f"no '=' in the line {line!r} of its entry_points.txt"),
        )
        for group, line in _lines(text)
        if _ANY_GROUP.fullmatch(group)
    ]


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the group and the text of each line, since importlib stops at a malformed one."""
    group = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("[") and line.endswith("]"):
            group = line.strip("[]")
        elif not line.startswith("#"):
            yield group, line


def find_file(file: str | Path) -> Found:
    """Describe a local file; an unreadable one is listed too, and fails at its import."""
    try:
        path = Path(file).expanduser().resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a null byte, ~nobody, a circle of links
        fault = f"{str(file)!r} is no path to a file: {error}"
        return Found(name=Path(file).stem, target=str(file), is_file=True, fault=fault)
    import hashlib  # 3 ms that only a local file needs

    try:
        # anything but a file, such as a FIFO, fails at its import
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except OSError:
        digest = ""
    return Found(name=path.stem, target=str(path), sha256=digest, is_file=True)
