"""The installed distributions, as `importlib.metadata` reads and `packaging` judges them.

These take 25 and 20 ms to import, and the first a millisecond for each field, since it parses the
whole METADATA as an e-mail. So folders on the path are read here, and plain requirements judged;
all else is left to them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

_ENDINGS = (".dist-info", ".egg-info")
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_PLAIN = re.compile(rf"({_NAME}) ?((?:(?:>=|<)[0-9]+(?:\.[0-9]+)*(?:, ?(?!$)|$))*)")
_OF_AN_EXTRA = re.compile(rf"""[^;]+; ?extra ?== ?(?:'{_NAME}'|"{_NAME}")""")
_RELEASE = re.compile(r"([0-9]+(?:\.[0-9]+)*)(?:\+[A-Za-z0-9.]+)?")  # 2.6.0, or 2.6.0+cpu


class Metadata(NamedTuple):
    """The metadata of one distribution; a name or a version that isn't there is empty."""

    name: str
    version: str
    requires: tuple[str, ...]


class InfoFolder(NamedTuple):
    """A distribution's folder NAME-VERSION.dist-info or .egg-info."""

    path: str

    def read_text(self, filename: str) -> str | None:
        """Return the text of one of its files, None where there is none."""
        absent = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
        with suppress(*absent), open(os.path.join(self.path, filename), encoding="utf-8") as file:
            return file.read()
        return None


def distributions(name: str | None = None) -> Iterator[Any]:
    """List the distributions on the path, or those of a name; Python uses the first of a name.

    They are of `InfoFolder`, or of `importlib.metadata` when an archive or a hook may offer some.
    """
    finders = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    if finders != [PathFinder] or any(
        entry.endswith(".egg") or os.path.isfile(entry) for entry in map(str, sys.path)
    ):
        import importlib.metadata

        yield from importlib.metadata.distributions(name=name)
        return
    wanted = None if name is None else normal(name)
    for entry in sys.path:
        with suppress(OSError):
            for found, child in _listed(entry, os.stat(entry or ".").st_mtime_ns):
                if wanted is None or found == wanted:
                    yield InfoFolder(os.path.join(entry, child))


@lru_cache(maxsize=256)
def _listed(folder: str, changed: int) -> tuple[tuple[str, str], ...]:
    """List the distributions in a folder, once for each time at which it was changed."""
    children = [name for name in os.listdir(folder or ".") if name.lower().endswith(_ENDINGS)]
    return tuple((normal(name.rpartition(".")[0].partition("-")[0]), name) for name in children)


def read_metadata(distribution: Any) -> Metadata:
    """Read a distribution's metadata. Raises an exception of any kind when it can't be read."""
    text = distribution.read_text("METADATA")
    if text:
        return parse_metadata(text)
    import importlib.metadata  # it reads eggs

    if isinstance(distribution, InfoFolder):
        distribution = importlib.metadata.Distribution.at(distribution.path)
    name, version = distribution.name or "", distribution.version or ""
    return Metadata(name, version, tuple(distribution.requires or ()))


@lru_cache(maxsize=256)  # most distributions require the same few
def parse_metadata(text: str) -> Metadata:
    """Parse the headers of a METADATA file, which end at the first line that is none."""
    fields: dict[str, list[str]] = {"name": [], "version": [], "requires-dist": []}
    field = ""
    for line in text.split("\n"):
        if not line.startswith((" ", "\t")):
            field, colon, value = line.partition(":")
            field = field.lower()
            if not colon or " " in field:
                break
            fields.get(field, []).append(value.strip())
        elif field in fields:  # the header goes on
            fields[field][-1] += f" {line.strip()}"
    names, versions, requires = fields.values()
    return Metadata("".join(names[:1]), "".join(versions[:1]), tuple(requires))


def normal(name: str) -> str:
    """Return the normal form of a distribution's name, in which spellings of it are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()


def unmet(requirement: str) -> str:
    """Say why a requirement isn't met, and how to mend that; empty when it is met.

    A requirement of an extra is met. Raises an exception of any kind when it can't be read.
    """
    plain = _PLAIN.fullmatch(requirement)
    if (plain and _is_met(plain[1], plain[2])) or _OF_AN_EXTRA.fullmatch(requirement):
        return ""
    from packaging.requirements import Requirement

    required = Requirement(requirement)
    if required.marker is not None and not required.marker.evaluate({"extra": ""}):
        return ""
    version = _installed(required.name)
    if version and required.specifier.contains(version, prereleases=True):
        return ""
    there = f"{version} is installed" if version else "it isn't installed"
    wanted = f"{required.name}{required.specifier}"
    return f"needs {wanted}, but {there}; mend it with: pip install '{wanted}'"


def _is_met(name: str, bounds: str) -> bool:
    """Tell whether bounds such as `>=2.6, <3` hold for a release that is installed."""
    release = _RELEASE.fullmatch(_installed(name))
    return release is not None and all(
        (_numbers(release[1]) < _numbers(number)) == (sign == "<")
        for sign, number in re.findall(r"(>=|<)([0-9.]+)", bounds)
    )


def _numbers(release: str) -> list[int]:
    """Return a release's numbers without the zeros at its end: 2.6 and 2.6.0 are one."""
    return [int(number) for number in re.sub(r"(\.0+)+$", "", release).split(".")]


def _installed(name: str) -> str:
    """Return the version of a distribution, empty when it isn't installed."""
    found = next(distributions(name), None)
    return read_metadata(found).version if found is not None else ""
