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

    @property
    def is_file(self) -> bool:
        """Whether this is a local file rather than an installed distribution."""
        return not self.distribution

    @property
    def origin(self) -> str:
        """Where it comes from, for a person to read."""
        return self.target if self.is_file else f"{self.distribution} {self.version}"


def find(files: Iterable[str | Path] = ()) -> tuple[Found, ...]:
    """List the installed plugins, sorted by name, then the local files in the order given.

    A file that is named twice is found once.
    """
    local = dict.fromkeys(Path(file).expanduser().resolve() for file in files)
    return (*find_installed(), *(find_file(path) for path in local))


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
                distribution=point.dist.name,
                version=point.dist.version,
                api=int(point.group.rpartition(".v")[2]),
                requires=tuple(point.dist.requires or ()),
            )
        )
    return tuple(sorted(found))


def find_file(path: Path) -> Found:
    """Describe a local file; one that can't be read is found too, and fails at its import."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        digest = ""
    return Found(name=path.stem, target=str(path), sha256=digest)
