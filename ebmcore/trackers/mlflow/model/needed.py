"""The distributions, files and objects without which a run's energy and sampler can't be built."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any, NamedTuple

_KINDS = ("energy", "network", "transform", "sampler", "chains")


MADE = "made_of_objects"  # a key in the config of a run of objects


class Needed(NamedTuple):
    """The needs of a run, by its run.json."""

    distributions: dict[str, str]  # name -> the version that the run had
    files: dict[str, str]  # name of a local plugin file -> its SHA-256

    @property
    def missing(self) -> list[str]:
        """The distributions that aren't installed."""
        return [name for name in self.distributions if not _is_installed(name)]


def needed(facts: Mapping[str, Any]) -> Needed:
    """Return what the run of this run.json needs; odd entries in it count as missing."""
    parts = [p for p in _mappings(facts.get("components")) if p.get("kind") in _KINDS]
    files = [p for p in _mappings(facts.get("plugins")) if p.get("file")]
    return Needed(
        {str(p["distribution"]): str(p.get("version")) for p in parts if p.get("distribution")},
        {PurePath(str(p["file"])).name: str(p.get("sha256")) for p in files},
    )


def missing_parts(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts that the config of a run of objects has no node for, and why."""
    made = tree.get(MADE, {"missing": {}})
    if isinstance(made, dict) and "missing" not in made:  # of a time that recorded no nodes
        return dict.fromkeys(("data", *map(str, made)), "the run recorded no way to make it again")
    found = made["missing"] if isinstance(made, dict) else None
    return {str(key): str(why) for key, why in found.items()} if isinstance(found, dict) else {}


def _mappings(found: Any) -> list[Mapping[str, Any]]:
    return [p for p in found if isinstance(p, Mapping)] if isinstance(found, list) else []


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except (PackageNotFoundError, ValueError):
        return False
    return True
