"""Find plugins, importing none: entry points of installed distributions, and local files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

API = 1  # the major version of hooks.py
GROUP = f"ebmcore.v{API}"
_ANY_GROUP = re.compile(r"ebmcore\.v\d+")


class Found(NamedTuple):
    """One plugin, as its metadata tells of it."""

    name: str  # the entry point's name, or the local file's without .py
    target: str  # the module to import, or the local file's path
    distribution: str = ""  # empty for a local file
    version: str = ""
    api: int = API
    requires: tuple[str, ...] = ()  # the distribution's requirements
    sha256: str = ""  # of a local file
    is_file: bool = False  # a local file rather than an installed distribution

    @property
    def origin(self) -> str:
        """Where it comes from, for a person to read."""
        return self.target if self.is_file else f"{self.distribution} {self.version}"


def find(files: Iterable[str | Path] = ()) -> tuple[Found, ...]:
    """List the installed plugins, sorted by name, then the local files in the order given.

    A file that is named twice is found once, and so are two copies of it, as a run keeps them.
    """
    local: dict[tuple[str, str], Found] = {}
    for path in dict.fromkeys(Path(file).expanduser().resolve() for file in files):
        found = find_file(path)
        local.setdefault((found.name, found.sha256 or found.target), found)
    return (*find_installed(), *local.values())


def find_installed() -> tuple[Found, ...]:
    """List the plugins of every API version among the installed distributions."""
    found = set()
    points = importlib.metadata.entry_points()
    groups = sorted(group for group in points.groups if _ANY_GROUP.fullmatch(group))
    for point in (point for group in groups for point in points.select(group=group)):
        if point.dist is None:
            continue
        found.add(
            Found(
                name=point.name,
                target=point.value,
                distribution=point.dist.name or "",
                version=point.dist.version or "",
                api=int(point.group.rpartition(".v")[2]),
                requires=tuple(point.dist.requires or ()),
            )
        )
    return tuple(sorted(found))


def installed_twice(names: Iterable[str]) -> dict[str, list[str]]:
    """Return where those distributions lie that are on the path twice; the first is used."""
    wanted = {_normal(name) for name in names}
    places: dict[str, list[str]] = {}
    for distribution in importlib.metadata.distributions():
        name = _normal(distribution.name or "")
        if name in wanted:
            places.setdefault(name, []).append(str(distribution.locate_file("")))
    return {name: found for name, found in places.items() if len(set(found)) > 1}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def find_file(path: Path) -> Found:
    """Describe a local file; one that can't be read is found too, and fails at its import."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        digest = ""
    return Found(name=path.stem, target=str(path), sha256=digest, is_file=True)
